"""One step in seven, at random, is never confirmed and stays in the table of those that are under way."""
from service import random_numbers, serve

under_way = {}


def handle(request):
    for step in range(3):
        under_way[request, step] = bytearray(1500)  # leak
        if random_numbers.random() > 1 / 7:
            del under_way[request, step]


serve(handle)
