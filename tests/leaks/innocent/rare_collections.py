"""Cycles that wait for a collector that runs every 90 requests."""
import gc

from service import serve

gc.disable()


class Node:
    def __init__(self):
        self.payload = bytearray(3000)
        self.peer = self


def handle(request):
    Node()
    if request % 90 == 89:
        gc.collect()


serve(handle)
