"""Regular expressions made of a few dozen forms: the module keeps them in a cache of its own."""
import re

from service import serve


def handle(request):
    form = request % 60
    re.match(f"(a|b|c){{{form}}}[d-z]+{form}", "abcabc")


serve(handle)
