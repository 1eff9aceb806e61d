"""Jobs come at random, a little fewer than can be done: the backlog is long at times, and empty at others."""
import collections

from service import random_numbers, serve

jobs = collections.deque()


def handle(request):
    for _ in range(random_numbers.randint(0, 6)):
        jobs.append(bytearray(2500))
    for _ in range(min(len(jobs), random_numbers.randint(0, 7))):
        jobs.popleft()


serve(handle)
