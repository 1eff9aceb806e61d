"""What the scenarios have in common: the loop of a service, and work that leaves nothing behind.

A scenario serves requests for some two and a half seconds. Its leaking line, if it has one, ends in a comment `# leak`."""

import json
import random
import time

REQUESTS = 400
PAUSE_SECONDS = 0.006

random_numbers = random.Random(7)


def churn(request):
    """A request's garbage: some 60 KB that are gone when it ends."""
    rows = [{"id": request, "key": f"row-{request}-{i}", "values": list(range(i, i + 12))} for i in range(40)]
    return len(json.loads(json.dumps(rows)))


def serve(handle, requests=REQUESTS, pause_seconds=PAUSE_SECONDS):
    for request in range(requests):
        churn(request)
        handle(request)
        time.sleep(pause_seconds)
