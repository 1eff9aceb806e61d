"""A class is made for every request, and registered."""
from service import serve

registry = {}


def handle(request):
    if request % 2 == 0:
        name = f"Model{request}"
        registry[name] = type(name, (object,), {"limit": request, "check": lambda self: self.limit})  # leak


serve(handle)
