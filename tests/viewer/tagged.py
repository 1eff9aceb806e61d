"""What the tests of splits record: two tags, one inside the other, and a child process that allocates at the same lines."""

import subprocess
import sys

import heapline

KEPT = []


def hold(size):
    KEPT.append(bytearray(size))


def work(scale):
    with heapline.tag("GET /users"):
        hold(1_000_000 * scale)
        with heapline.tag("render"):
            hold(300_000 * scale)
    with heapline.tag("GET /orders"):
        hold(2_000_000 * scale)
    hold(50_000 * scale)


if len(sys.argv) > 1:
    work(2)
else:
    work(1)
    subprocess.run([sys.executable, __file__, "child"], check=True)
