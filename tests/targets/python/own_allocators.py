"""The three allocator domains of the C API, called with ctypes: PyMem_Raw, PyMem and PyObject."""

import ctypes
import sys

from marks_of import end, fact

api = ctypes.pythonapi
kept = []


def domain(prefix):
    malloc, calloc, realloc, free = (getattr(api, prefix + name) for name in ("Malloc", "Calloc", "Realloc", "Free"))
    for function in (malloc, calloc, realloc):
        function.restype = ctypes.c_void_p
    malloc.argtypes = [ctypes.c_size_t]
    calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    free.argtypes, free.restype = [ctypes.c_void_p], None
    free(realloc(calloc(1, 10), 20))
    free(malloc(5))
    return malloc, calloc, realloc, free


def exercise(malloc, calloc, realloc, free):
    """The address that a call returns is an integer, allocated on the same line."""
    one = malloc(3000)  # ALLOC malloc live=9000+malloc live_count=6
    two = calloc(30, 100)  # ALLOC calloc live=9000+calloc live_count=6
    three = malloc(400)
    three = realloc(three, 8000)  # ALLOC realloc live=24000+realloc live_count=6 copied=?
    four = malloc(100_000)
    four = realloc(four, 300)  # ALLOC realloc_down live=900+realloc_down live_count=6 copied=?
    assert realloc(four, 1 << 62) is None
    five = malloc(0)
    assert five
    free(five)
    free(None)
    kept.append((one, two, three, four))


for prefix in ("PyMem_Raw", "PyMem_", "PyObject_"):
    exercise(*domain(prefix))
for name, addresses in zip(("malloc", "calloc", "realloc", "realloc_down"), zip(*kept)):
    fact(name, sum(sys.getsizeof(address) for address in addresses))
end()
