"""Objects that refer to each other, with the cyclic collector switched off."""
import gc

from service import serve

gc.disable()


class Node:
    def __init__(self):
        self.payload = bytearray(800)  # leak
        self.peer = None


def handle(request):
    left, right = Node(), Node()
    left.peer, right.peer = right, left


serve(handle)
