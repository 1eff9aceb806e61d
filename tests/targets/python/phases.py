"""Goes from phase to phase when told to by a line on standard input, so that the test can start and stop the recording in between."""

import gc
import os
import sys


class Node:
    __slots__ = ("left", "right")


def await_line(phase):
    os.write(1, b"%d\n" % phase)
    assert os.read(0, 1) == b"\n"


def fill(kept, start, stop):
    for i in range(start, stop):
        kept[i] = Node()  # ALLOC nodes count=1400 live_count=1000 live=? bytes=?


def main():
    gc.disable()
    kept = [None] * 3000
    await_line(1)
    fill(kept, 0, 1000)
    await_line(2)
    block = bytearray(100000)  # a malloc under the GIL: it finds out that recording has begun
    fill(kept, 1000, 2000)
    kept[:500] = [None] * 500
    kept[1000:1400] = [None] * 400
    fill(kept, 0, 400)
    await_line(3)
    block = bytearray(200000)  # ALLOC stopped bytes=0
    fill(kept, 2000, 3000)
    await_line(4)
    del block


main()
