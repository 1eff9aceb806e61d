"""For the targets: tell the test what a marked line must show. Values come from sys.getsizeof and known layouts only."""

import os
import sys

_path = os.environ.get("HEAPLINE_TEST_FACTS")


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
