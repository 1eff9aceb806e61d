#!/usr/bin/env python3
"""A service with a leak: it answers requests in a loop and keeps one small thing too much for each of them.

    build/cli/heapline run -o service.heapline examples/leaking_service.py
    build/cli/heapline leaks service.heapline

What the report shows
  - `leaks` puts the line in `Sessions.open` first: its blocks are never freed, and their number grows from the first request
    to the last.
  - The template cache is as large, and live at the end as well, but it stopped growing after the first requests: it comes after
    the leak, with that as its evidence. So does what the imports left behind.
  - The answers themselves make most of the allocations and none of the live bytes: `lines --sort allocated`.
"""

import argparse
import json
import os
import sys
import time


class Templates:
    """A cache that fills while the service warms up, and then stays as it is."""

    def __init__(self, count):
        self.count = count
        self.rendered = {}

    def get(self, request):
        name = request % self.count
        if name not in self.rendered:
            self.rendered[name] = f"<h1>page {name}</h1>" + "<p>a paragraph</p>" * 2000
        return self.rendered[name]


class Sessions:
    """What is known of the users that are logged in. Nobody calls `close` when a connection breaks: the leak."""

    def __init__(self):
        self.by_user = {}

    def open(self, user):
        self.by_user[user] = bytearray(700)

    def close(self, user):
        del self.by_user[user]


def answer(request, templates, sessions):
    user = f"user {request}"
    sessions.open(user)
    body = json.dumps({"user": user, "page": templates.get(request), "items": list(range(200))})
    connection_is_broken = request % 10 == 0
    if not connection_is_broken:
        sessions.close(user)
    return len(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--pause", type=float, default=0.00005, help="seconds between two requests")
    options = parser.parse_args()

    templates, sessions = Templates(40), Sessions()
    sent_bytes = 0
    for request in range(options.requests):
        sent_bytes += answer(request, templates, sessions)
        time.sleep(options.pause)
    print(f"{options.requests} requests, {sent_bytes} bytes sent, {len(sessions.by_user)} sessions still open")
    # A service is stopped from outside, with all that it holds. Python's own tidying up at the end would hide the leak.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
