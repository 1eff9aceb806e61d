"""A Django site without a network: requests go through the middleware, the URL resolver, a template, and the ORM over SQLite in memory."""

import sys

import django
from django.conf import settings

DEFAULT_SIZE = 5_000

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import Group  # noqa: E402 (needs the settings)
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, JsonResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

PAGE = engines["django"].from_string(
    "<h1>{{ title|title }}</h1><ul>{% for group in groups %}<li class={% cycle 'odd' 'even' %}>{{ group.name|upper }}</li>{% endfor %}</ul>"
)


def page(request, first):
    groups = Group.objects.filter(id__gte=first).order_by("id")[:20]
    return HttpResponse(PAGE.render({"title": f"groups from {first}", "groups": groups}))


def listing(request, first):
    return JsonResponse({"groups": list(Group.objects.filter(id__gte=first).order_by("id").values("id", "name")[:20])})


urlpatterns = [path("page/<int:first>/", page), path("listing/<int:first>/", listing)]


def main(size):
    call_command("migrate", verbosity=0)
    Group.objects.bulk_create(Group(name=f"group {number}") for number in range(200))
    client = Client()
    sent_bytes = 0
    for number in range(size):
        kind = "page" if number % 2 else "listing"
        sent_bytes += len(client.get(f"/{kind}/{number % 180 + 1}/", {"q": str(number)}).content)
    print(sent_bytes)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
