"""Timers in a heap, taken out when they are due; some are due late."""
import heapq

from service import random_numbers, serve

timers = []


def handle(request):
    for _ in range(3):
        heapq.heappush(timers, (request + random_numbers.randint(1, 100), random_numbers.random(), bytes(600)))
    while timers and timers[0][0] <= request:
        heapq.heappop(timers)


serve(handle)
