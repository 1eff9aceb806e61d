"""A feature that is used for the first time after half of the run: a step, and nothing more."""
from service import serve

tables = {}


def handle(request):
    if request == 220:
        import xml.dom.minidom  # noqa: F401
        tables["dictionary"] = [f"word {i}" for i in range(20000)]


serve(handle)
