"""A table is loaded anew every fifty requests, then takes the place of the old one."""
from service import serve

table = {}


def handle(request):
    global table
    if request % 50 == 0:
        table = {i: f"entry {i} of {request}" for i in range(4000)}


serve(handle)
