"""The last fifty requests, for a page of statistics."""
import collections

from service import serve

recent = collections.deque(maxlen=50)


def handle(request):
    recent.append({"request": request, "body": "x" * (1000 + request % 70)})


serve(handle)
