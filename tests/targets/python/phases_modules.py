"""Goes from phase to phase when told to by a line on standard input. What plug-ins allocate is seen from the start on, whether they were loaded
before it or after it, and through pointers to malloc that were looked up before it or after it. Usage: phases_modules.py EARLY LATE"""

import ctypes
import gc
import os
import sys

MIB = 1 << 20


class Node:
    __slots__ = ("left", "right")


def await_line(phase):
    os.write(1, b"%d\n" % phase)
    assert os.read(0, 1) == b"\n"


def function_of(path, name):
    function = getattr(ctypes.CDLL(path), name)
    function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    return function


def through_early_plugin(function):
    return function(3 * MIB)


def through_late_plugin(function):
    return function(5 * MIB)


def through_early_pointer(function):
    return function(7 * MIB)


def through_late_pointer(function):
    return function(9 * MIB)


def main():
    gc.disable()
    early, early_malloc = function_of(sys.argv[1], "plugin_allocate"), function_of(None, "malloc")
    kept = [None] * 2000
    unseen = [through_early_plugin(early), through_early_pointer(early_malloc)]
    await_line(1)
    block = bytearray(100000)  # a malloc under the GIL: it finds out that recording has begun
    late, late_malloc = function_of(sys.argv[2], "plugin_allocate"), function_of("libc.so.6", "malloc")
    for i in range(1000):
        kept[i] = Node()  # ALLOC nodes count=1000 live_count=1000 live=? bytes=?
    seen = [through_early_plugin(early), through_late_plugin(late), through_early_pointer(early_malloc), through_late_pointer(late_malloc)]
    await_line(2)
    unseen.append(through_late_plugin(late))
    for i in range(1000, 2000):
        kept[i] = Node()  # ALLOC unseen count=0
    await_line(3)
    del block, seen, unseen


main()
