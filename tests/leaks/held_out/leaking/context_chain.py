"""Every context keeps the one it was made in."""
from service import serve


class Context:
    def __init__(self, parent, values):
        self.parent = parent
        self.values = values


current = Context(None, {})


def handle(request):
    global current
    values = {f"name{i}": f"value {request} {i}" for i in range(8)}  # leak
    current = Context(current, values)


serve(handle)
