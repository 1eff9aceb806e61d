"""Objects of known sizes in four phases, between which the test changes the sampling interval. Kept ones are dropped by halves later."""

import os
import sys


COUNT = 30000


def phase_1():
    objects = [None] * COUNT
    for i in range(COUNT):
        objects[i] = bytes(100)  # at 1
    return objects


def phase_2():
    objects = [None] * COUNT
    for i in range(COUNT):
        objects[i] = bytes(100)  # at 2
    return objects


def phase_3():
    objects = [None] * COUNT
    for i in range(COUNT):
        objects[i] = bytes(100)  # at 3
    return objects


def phase_4():
    objects = [None] * COUNT
    for i in range(COUNT):
        objects[i] = bytes(100)  # at 4
    return objects


with open(os.environ["HEAPLINE_TEST_FACTS"], "a") as facts:
    print(f"pid={os.getpid()}", file=facts)
kept = []
for number, phase in enumerate((phase_1, phase_2, phase_3, phase_4), 1):
    print(number, flush=True)
    sys.stdin.readline()
    for objects in kept:
        del objects[::2]
    kept.append(phase())
    neighbours = sum(abs(id(a) - id(b)) < 400 for a, b in zip(kept[-1], kept[-1][1:]))
    with open(os.environ["HEAPLINE_TEST_FACTS"], "a") as facts:
        print(f"neighbours_{number}={neighbours}", file=facts)
print(5, flush=True)
sys.stdin.readline()
os._exit(0)
