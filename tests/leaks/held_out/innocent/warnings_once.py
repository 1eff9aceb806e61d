"""Each of some forms of message is noted once; new ones get rarer."""
from service import random_numbers, serve

seen = {}


def handle(request):
    form = int(random_numbers.expovariate(1) * 15)
    seen.setdefault(form, f"first seen in request {request} " * 20)


serve(handle)
