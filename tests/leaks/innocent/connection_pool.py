"""A pool that grows to what the load needs; connections are lent and come back."""
from service import random_numbers, serve

idle = []


class Connection:
    def __init__(self):
        self.buffer = bytearray(16384)


def handle(request):
    lent = []
    for _ in range(random_numbers.randint(1, 4) if request < 100 else random_numbers.randint(1, 5)):
        lent.append(idle.pop() if idle else Connection())
    idle.extend(lent)


serve(handle)
