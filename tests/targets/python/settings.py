"""Marked lines for runs under unusual settings of the interpreter (PYTHONMALLOC, -X dev, tracemalloc …)."""

import sys

from marks_of import end, fact

kept = []


def allocate():
    bytearray(10)
    block = bytearray(80_000)  # ALLOC big bytes=big count=2 live=big live_count=2 peak=big
    fact("big", sys.getsizeof(block))
    items = [None] * 300
    for i in range(300):
        items[i] = object()  # ALLOC small bytes=300*small count=300 live=300*small live_count=300 peak=300*small
    fact("small", sys.getsizeof(items[0]))
    kept.append((block, items))
    size = 32 << 20
    top = bytearray(size)  # ALLOC peak bytes=top count=2 live_count=0 peak=top
    fact("top", sys.getsizeof(top))


if "tracemalloc" in sys.argv:
    import tracemalloc

    tracemalloc.start(5)
if "gc" in sys.argv:
    import gc

    gc.set_threshold(1, 1, 1)
if "profile" in sys.argv:
    sys.setprofile(lambda *_: None)
if "trace" in sys.argv:
    sys.settrace(lambda *_: None)
allocate()
if "tracemalloc" in sys.argv:
    assert tracemalloc.get_traced_memory()[1] > 32 << 20
    tracemalloc.stop()
if "gc" in sys.argv:
    gc.collect()
print("settings: done")
end(44)
