"""A queue that nobody reads any more."""
import queue

from service import serve

metrics = queue.SimpleQueue()


def handle(request):
    if request % 5 == 0:
        metrics.put(("latency", request, "label=%d " % request * 40))  # leak


serve(handle)
