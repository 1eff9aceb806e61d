"""What the scenarios have in common: the loop of a service, and work that leaves nothing behind.

A scenario serves requests for some two and a half seconds. Its leaking line, if it has one, ends in a comment `# leak`."""

import json
import os
import random
import time

REQUESTS = 400
PAUSE_SECONDS = 0.006
# How often a request is handled: a larger load, where a sample is to see the leak.
SCALE = int(os.environ.get("SCENARIO_SCALE", "1"))

random_numbers = random.Random(7)


def churn(request):
    """A request's garbage: some 60 KB that are gone when it ends."""
    rows = [{"id": request, "key": f"row-{request}-{i}", "values": list(range(i, i + 12))} for i in range(40)]
    return len(json.loads(json.dumps(rows)))


def serve(handle, requests=REQUESTS, pause_seconds=PAUSE_SECONDS):
    numbers = list(range(requests * SCALE))  # numbers that last: the first 256 need no memory, later ones would look like growth
    for first in numbers[::SCALE]:
        churn(first)
        for request in numbers[first:first + SCALE]:
            handle(request)
        time.sleep(pause_seconds)
