"""numpy arrays on marked lines. An array is its object, its dimensions and strides (from numpy's own cache, emptied before), its data.
Only functions that numpy implements in C: others allocate in numpy's own Python lines."""

import sys

import numpy

from marks_of import end, fact

kept = []
drained = []
ROWS = 500


def drain():
    """numpy keeps a few small blocks of each size: hold arrays until it has none left, but for the one that held the last call's
    shape. Two numbers fit into it: the next array of one dimension that is made without parsing a shape has it."""
    drained.append([[numpy.empty((2,)) for _ in range(50)], [numpy.empty((2, 2)) for _ in range(50)]])


def creation():
    flat = numpy.empty(100_000)  # ALLOC empty live=empty live_count=3 peak=empty
    fact("empty", sys.getsizeof(flat))
    flat.fill(0)  # sums of what was there before may overflow, and the warning of that allocates
    cleared = numpy.zeros((ROWS, 700))  # ALLOC zeros live=zeros live_count=3 peak=zeros
    fact("zeros", sys.getsizeof(cleared))
    drain()
    counted = numpy.arange(30_000)  # ALLOC arange live=arange-16 live_count=2 peak=arange-16
    fact("arange", sys.getsizeof(counted))
    kept.append((flat, cleared, counted))
    return flat, cleared


def arithmetic(flat, cleared):
    total = flat + flat  # ALLOC sum live=sum-16 live_count=2 peak=sum-16
    fact("sum", sys.getsizeof(total))
    scaled = cleared * 2.0  # ALLOC product live=product live_count=3 peak=product
    fact("product", sys.getsizeof(scaled))
    kept.append((total, scaled))


def copies(flat):
    twin = flat.copy()  # ALLOC copy live=copy-16 live_count=2 peak=copy-16 copied=800000 copies=1
    fact("copy", sys.getsizeof(twin))
    target = numpy.empty(100_000)
    target[:] = flat  # ALLOC assignment live=? copied=800000 copies=1
    kept.append((twin, target))


def churn():
    # Dimensions and strides stay in numpy's cache.
    for _ in range(20):
        numpy.empty(50_000)  # ALLOC churn bytes=20*400096+16 count=41 live=16 live_count=1


def peak():
    top = numpy.zeros(20_000_000)  # ALLOC peak live_count=? live=? peak=top
    fact("top", sys.getsizeof(top))


def warm_up():
    a = numpy.empty(3) + numpy.empty(3)
    b = numpy.zeros((2, 2)) * 2.0
    a.copy()[:] = a
    return [a, b, numpy.arange(3)]


drained.append([warm_up() for _ in range(20)])
for function, arguments in ((creation, 0), (arithmetic, 2), (copies, 1), (churn, 0), (peak, 0)):
    drain()
    function(*kept[0][:arguments] if arguments else ())
end()
