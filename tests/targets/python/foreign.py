"""Memory that ctypes asks libc for: through the global scope and through libc.so.6 itself. 400 MiB each, touched or not."""

import ctypes
import sys

from marks_of import end, fact

SIZE = 400 << 20
kept = []


def functions(library):
    malloc, calloc, realloc, free = library.malloc, library.calloc, library.realloc, library.free
    for function in (malloc, calloc, realloc):
        function.restype = ctypes.c_void_p
    malloc.argtypes = [ctypes.c_size_t]
    calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
    realloc.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    free.argtypes = [ctypes.c_void_p]
    free(malloc(10))
    return malloc, calloc, realloc, free


def main():
    malloc, calloc, realloc, free = functions(ctypes.CDLL(None))
    block = malloc(SIZE)  # ALLOC global live=0 live_count=0 peak=419430400+global_address
    fact("global_address", sys.getsizeof(block))
    libc_malloc, libc_calloc, libc_realloc, libc_free = functions(ctypes.CDLL("libc.so.6"))
    second = libc_malloc(SIZE)  # ALLOC libc live_count=0 live=0 peak=419430400+libc_address
    third = libc_calloc(1000, 3000)  # ALLOC calloc live=3000000+calloc_address live_count=2 peak=3000000+calloc_address
    fourth = libc_realloc(None, 5000)  # ALLOC realloc live=5000+realloc_address live_count=2 peak=5000+realloc_address
    # The returned addresses are integers, made on the same lines.
    for name, address in (("libc", second), ("calloc", third), ("realloc", fourth)):
        fact(name + "_address", sys.getsizeof(address))
    kept.append((third, fourth))
    del address
    free(block)
    libc_free(second)
    del block, second


main()
end()
