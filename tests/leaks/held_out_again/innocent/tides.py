"""The load rises and falls three times; what is live follows it."""
import math

from service import REQUESTS, serve

live = []


def handle(request):
    wanted = int(60 + 50 * math.sin(request / REQUESTS * 6 * math.pi))
    while len(live) < wanted:
        live.append(bytearray(3000))
    while len(live) > wanted:
        live.pop(0)


serve(handle)
