"""A cache fills in the first third of the run and is full then."""
from service import serve

cache = {}


def handle(request):
    key = request % 130
    if key not in cache:
        cache[key] = f"answer {key} " * 100


serve(handle)
