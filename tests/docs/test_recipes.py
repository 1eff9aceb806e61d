"""The middlewares of docs/tags.md, in the frameworks that they are for: each request's bytes are found under its route."""

import json
import subprocess
import sys

import pytest

from command import HEAPLINE, ROOT, environment

sys.path.insert(0, str(ROOT / "tests" / "integration"))
from interpreters import DEFAULT, package_folder  # noqa: E402

BYTEARRAY_EXTRA = 57  # the object, and a NUL behind the bytes

STARLETTE = """
import asyncio
from recipe import TagRequests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

kept = []

async def user(request):
    kept.append(bytearray(100_000))
    await asyncio.sleep(0)
    kept.append(bytearray(100_000))
    return PlainTextResponse("user")

def order(request): # in a worker thread
    kept.append(bytearray(200_000))
    return PlainTextResponse("order")

app = Starlette(routes=[Route("/users/{number}", user), Route("/orders/{number}", order, methods=["POST"])])
app.add_middleware(TagRequests)

async def ask(method, path):
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "headers": [],
             "scheme": "http", "server": ("localhost", 80), "client": ("localhost", 1), "root_path": ""}
    answers = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        answers.append(message)

    await app(scope, receive, send)
    return answers[0]["status"]

async def main():
    questions = [ask("GET", f"/users/{i}") for i in range(3)] + [ask("POST", f"/orders/{i}") for i in range(4)] + [ask("GET", "/nowhere")]
    assert await asyncio.gather(*questions) == [200] * 7 + [404]

asyncio.run(main())
"""

DJANGO = """
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="test", MIDDLEWARE=["recipe.tag_requests"])
import django
django.setup()
from django.http import HttpResponse
from django.test import Client
from django.urls import path

kept = []

def user(request, number):
    kept.extend(bytearray(100_000) for _ in range(2))
    return HttpResponse("user")

def order(request, number):
    kept.append(bytearray(200_000))
    return HttpResponse("order")

urlpatterns = [path("users/<int:number>", user), path("orders/<int:number>", order)]
client = Client()
statuses = [client.get(f"/users/{i}").status_code for i in range(3)] + [client.post(f"/orders/{i}").status_code for i in range(4)]
assert statuses + [client.get("/nowhere").status_code] == [200] * 7 + [404]
"""


def recipe_with(name):
    text = (ROOT / "docs" / "tags.md").read_text()
    (block,) = [block for block in text.split("```python\n")[1:] if f" {name}" in block.split("```")[0]]
    return block.split("```")[0]


@pytest.mark.parametrize("package, recipe, program, routes", [
    ("starlette", "TagRequests", STARLETTE, ("GET /users/{number}", "POST /orders/{number}")),
    ("django", "tag_requests", DJANGO, ("GET users/<int:number>", "POST orders/<int:number>")),
], ids=["starlette", "django"])
def test_middleware(tmp_path, package, recipe, program, routes):
    folders = [tmp_path, ROOT / "python", package_folder(DEFAULT, package)]
    (tmp_path / "recipe.py").write_text(recipe_with(recipe))
    (tmp_path / "app.py").write_text(program)
    trace = tmp_path / "t.heapline"
    result = subprocess.run([HEAPLINE, "run", "--quiet", "--python", DEFAULT.path, "-o", trace, tmp_path / "app.py"], capture_output=True, timeout=120,
                            env=environment(PYTHONPATH=":".join(str(folder) for folder in folders if folder)), stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr.decode()
    for route, count, size in zip(routes, (6, 4), (100_000, 200_000)):
        shown = subprocess.run([HEAPLINE, "lines", "--json", "--tag", route, trace], capture_output=True, timeout=60, env=environment())
        rows = [row for row in json.loads(shown.stdout)["lines"] if row["file"] == str(tmp_path / "app.py") and row["allocated_bytes"] >= size]
        # Beside them only the list's own growth.
        assert 0 <= sum(row["allocated_bytes"] for row in rows) - count * (size + BYTEARRAY_EXTRA) < 2000, (route, rows)
    shown = subprocess.run([HEAPLINE, "lines", "--json", "--by", "tag", trace], capture_output=True, timeout=60, env=environment())
    assert {row["function"] for row in json.loads(shown.stdout)["lines"] if row["kind"] == "tag"} == {"(no tag)", "GET other", *routes}
