"""A cache of a fixed set of keys, asked at random: most are in soon, the rest one by one."""
from service import random_numbers, serve

cache = {}


def handle(request):
    for _ in range(4):
        key = random_numbers.randrange(200)
        if key not in cache:
            cache[key] = f"answer {key} " * 60


serve(handle)
