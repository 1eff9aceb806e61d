"""Small objects whose sampled ones come from elsewhere than the others: what the program can see of that, and where each of them ends."""

import sys
import tracemalloc


def churn(count):
    kept = [bytes(i % 400) for i in range(count)]
    return len(kept)


def grow(count):
    for _ in range(count):
        array = bytearray(20)  # grown
        array.extend(bytes(300))
        array.extend(bytes(900))
        del array[40:]
        array.clear()


def lists(count):
    for _ in range(count):
        items = []
        for number in range(40):
            items.append(None)  # appended
        items.clear()


churn(1000)
grow(10)
lists(10)
before = sys.getallocatedblocks()
churn(100000)
grow(20000)
lists(20000)
print(sys.getallocatedblocks() - before)

# Some are allocated before another layer comes, and given up through it; and the other way round.
early = [bytes(100) for _ in range(50000)]  # early
tracemalloc.start()
late = [bytes(100) for _ in range(50000)]  # late
del early
tracemalloc.stop()
del late
print("done")
