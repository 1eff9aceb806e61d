"""For the targets: tell the test what a marked line must show. Values come from sys.getsizeof and known layouts only."""

import os
import sys

_path = os.environ.get("HEAPLINE_TEST_FACTS")


def _open_arenas():
    """Blocks that are let go leave the arenas of small objects open (a few hold each in place): a marked line asks for no new one.

    A new arena may bring a node of the allocator's map of arenas, 2,048 bytes from 3.10 on, on whichever line it comes."""
    blocks = [bytes(400 + i % 2) for i in range(16 << 10)]
    return blocks[::64]


_held = _open_arenas()


def fact(name, value):
    if _path:
        file = os.open(_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, ("%s=%d\n" % (name, value)).encode())
        os.close(file)


def end(status=0):
    """End at once: what is live stays live, no interpreter shutdown frees it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
