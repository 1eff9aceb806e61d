"""Cycles that wait for the collector, which runs now and then."""
from service import serve


class Node:
    def __init__(self):
        self.payload = bytearray(800)
        self.peer = self


def handle(request):
    for _ in range(10):
        Node()


serve(handle)
