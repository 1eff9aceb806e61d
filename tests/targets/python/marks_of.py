"""For the targets: tell the test what a marked line must show. Values come from sys.getsizeof and known layouts only."""

import os
import sys

_path = os.environ.get("HEAPLINE_TEST_FACTS")
_witness = os.environ.get("HEAPLINE_TEST_WITNESS")


def fact(name, value):
    if _path:
        file = os.open(_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, ("%s=%d\n" % (name, value)).encode())
        os.close(file)


def end(status=0):
    """End at once: what is live stays live, no interpreter shutdown frees it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if _witness:
        testify()
    os._exit(status)


def testify():
    """What tracemalloc, as an independent witness, says is live by line: `file:line bytes blocks`, one a line."""
    import tracemalloc

    with open(_witness, "w") as file:
        for statistic in tracemalloc.take_snapshot().statistics("lineno"):
            frame = statistic.traceback[0]
            file.write("%s:%d %d %d\n" % (frame.filename, frame.lineno, statistic.size, statistic.count))
