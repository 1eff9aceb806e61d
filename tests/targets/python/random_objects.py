"""Objects of many kinds in random order, the same in every run: for recordings of bounded size. Usage: random_objects.py ROUNDS"""

import random
import sys

ROUNDS = int(sys.argv[1])
choose = random.Random(1)
kept = [None] * 3000


def text(size):
    return "x" * size


def some_bytes(size):
    return bytes(size)


def table(size):
    return dict.fromkeys(range(size % 40))


def joined(place, size):
    other = kept[(place + 1) % len(kept)]
    return other + other if isinstance(other, bytes) and len(other) < 20000 else [size] * size


def tree(depth):
    return (tree(depth - 1), tree(depth - 1)) if depth else [depth]


def keep_one():
    place, size = choose.randrange(len(kept)), choose.randrange(1, 700)
    kind = choose.randrange(6)
    if kind == 0:
        kept[place] = text(size)
    elif kind == 1:
        kept[place] = some_bytes(size)
    elif kind == 2:
        kept[place] = table(size)
    elif kind == 3:
        kept[place] = joined(place, size)
    elif kind == 4:
        kept[place] = tree(size % 5)
    else:
        kept[place] = None


for number in range(ROUNDS):
    keep_one()
    if number == ROUNDS * 9 // 10:
        kept.append(bytearray(30 << 20))
        kept.pop()
