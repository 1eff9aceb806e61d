"""numpy arrays on marked lines. An array is its object, its dimensions and strides (from numpy's own cache, emptied before), its data."""

import sys

import numpy

from marks_of import end, fact

kept = []
# numpy keeps a few small blocks of each size: hold arrays of one and two dimensions until it has none left.
drained = [[numpy.empty((2,)) for _ in range(50)], [numpy.empty((2, 2)) for _ in range(50)], [numpy.empty((1, 2, 3)) for _ in range(50)]]
ROWS = 500


def parts(array):
    """Bytes of an array that owns its data: getsizeof has the object and the data, not the dimensions."""
    return sys.getsizeof(array) + 2 * 8 * max(array.ndim, 1)


def creation():
    flat = numpy.empty(100_000)  # ALLOC empty live=empty live_count=3 peak=empty
    fact("empty", parts(flat))
    cleared = numpy.zeros((ROWS, 700))  # ALLOC zeros live=zeros live_count=3 peak=zeros
    fact("zeros", parts(cleared))
    ones = numpy.ones((ROWS, 70), dtype=numpy.int32)  # ALLOC ones live=ones live_count=3 peak=ones
    fact("ones", parts(ones))
    counted = numpy.arange(30_000)  # ALLOC arange live=arange live_count=3 peak=arange
    fact("arange", parts(counted))
    kept.append((flat, cleared, ones, counted))
    return flat, cleared, ones, counted


def arithmetic(flat, cleared):
    total = flat + flat  # ALLOC sum live=sum live_count=3 peak=sum
    fact("sum", parts(total))
    scaled = cleared * 2.0  # ALLOC product live=product live_count=3 peak=product
    fact("product", parts(scaled))
    kept.append((total, scaled))


def copies(flat, cleared):
    twin = flat.copy()  # ALLOC copy live=copy live_count=3 copied=800000 copies=1
    fact("copy", parts(twin))
    joined = numpy.concatenate([flat, twin])  # ALLOC concatenate live=concatenated live_count=3 copied=1600000
    fact("concatenated", parts(joined))
    target = numpy.empty_like(flat)
    target[:] = flat  # ALLOC assignment copied=800000 copies=1
    kept.append((twin, joined, target))


def churn():
    for _ in range(20):
        numpy.empty(50_000)  # ALLOC churn live_count=0 peak=0


def peak():
    top = numpy.ones(20_000_000)  # ALLOC peak live_count=0 peak=top
    fact("top", parts(top))


def warm_up():
    a = numpy.ones(3) + numpy.ones(3)
    b = numpy.zeros((2, 2)) * 2.0
    c = numpy.concatenate([a, a.copy()])
    numpy.empty_like(c)[:] = c
    numpy.arange(3), numpy.ones((2, 2), dtype=numpy.int32)
    return [a, b, c]


drained.append([warm_up() for _ in range(20)])
flat, cleared, ones, counted = creation()
arithmetic(flat, cleared)
copies(flat, cleared)
churn()
peak()
end()
