"""Marked lines reached in every way a Python program can run: threads, generators, coroutines, callbacks of C code, decorators,
caches, classes, modules that are imported. Usage: control_flow.py"""

import asyncio
import functools
import gc
import sys
import threading

from marks_of import end, fact

kept = []
gc.disable()
bytearray(10)
SIZE = sys.getsizeof(bytearray(4000))
fact("size", SIZE)


def produce(count):
    for _ in range(count):
        block = bytearray(4000)  # ALLOC generator bytes=40*size count=80 live=40*size live_count=80 peak=40*size
        yield block


def delegate(count):
    yield from produce(count)


def generators():
    for block in delegate(30):
        kept.append(block)
    kept.extend(block for block in produce(10))


async def fetch(number):
    await asyncio.sleep(0)
    block = bytearray(4000)  # ALLOC coroutine bytes=25*size count=50 live=25*size live_count=50
    await asyncio.sleep(0)
    kept.append(block)
    return await deeper(number)


async def deeper(number):
    await asyncio.sleep(0.001 * (number % 3))
    block = bytearray(4000)  # ALLOC awaited bytes=25*size count=50 live=25*size live_count=50
    return block


async def stream(count):
    for _ in range(count):
        await asyncio.sleep(0)
        block = bytearray(4000)  # ALLOC async_generator bytes=12*size count=24 live=12*size live_count=24
        yield block


async def gather_all():
    kept.append(await asyncio.gather(*(fetch(number) for number in range(25))))
    async for block in stream(12):
        kept.append(block)


def work(barrier, results, place):
    blocks = [None] * 20
    for round_number in range(20):
        barrier.wait()
        blocks[round_number] = bytearray(4000)  # ALLOC threads bytes=120*size count=240 live=120*size live_count=240
    results[place] = blocks


def threads():
    barrier = threading.Barrier(6)
    results = [None] * 6
    workers = [threading.Thread(target=work, args=(barrier, results, place)) for place in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    kept.append(results)


def freed_elsewhere():
    """Allocated in a thread, freed in the main thread."""
    blocks = []

    def fill():
        for _ in range(30):
            block = bytearray(4000)  # ALLOC freed_elsewhere bytes=30*size count=60 live_count=0
            blocks.append(block)
        del block

    worker = threading.Thread(target=fill)
    worker.start()
    worker.join()
    blocks.clear()


@functools.lru_cache(maxsize=None)
def cached(number):
    return bytearray(4000)  # ALLOC lru_cache bytes=15*size count=30 live=15*size live_count=30


def decorate(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        before = bytearray(4000)  # ALLOC wrapper bytes=8*size count=16 live_count=0
        result = function(*arguments, **keywords)
        del before
        return result
    return wrapper


@decorate
def decorated(number, *, flag):
    block = bytearray(4000)  # ALLOC decorated bytes=8*size count=16 live=8*size live_count=16
    return block


class Lazy:
    __slots__ = ("block", "last", "compared")
    body = bytearray(4000)  # ALLOC class_body bytes=size count=2 live=size live_count=2

    def __init__(self):
        self.block = bytearray(4000)  # ALLOC constructor bytes=5*size count=10 live=5*size live_count=10 peak=?

    @property
    def value(self):
        block = bytearray(4000)  # ALLOC property bytes=5*size count=10 live=5*size live_count=10
        return block

    def __enter__(self):
        block = bytearray(4000)  # ALLOC enter bytes=5*size count=10 live=5*size live_count=10
        return block

    def __exit__(self, *problem):
        self.last = bytearray(4000)  # ALLOC exit bytes=5*size count=10 live=5*size live_count=10
        return True

    def __getattr__(self, name):
        block = bytearray(4000)  # ALLOC getattr bytes=5*size count=10 live=5*size live_count=10
        return block

    def __lt__(self, other):
        self.compared = bytearray(4000)  # ALLOC lt bytes=4*size count=8 live=4*size live_count=8
        return False


def classes():
    made = [Lazy() for _ in range(5)]
    for lazy in made:
        kept.append(lazy.value)
        kept.append(lazy.unknown)
        with lazy as block:
            kept.append(block)
            raise ValueError("swallowed")
    # Four comparisons, none of which says less: each leaves a block in another object.
    for left, right in zip(made, made[1:]):
        assert not left < right
    kept.append(made)


def exceptions():
    for _ in range(20):
        try:
            block = bytearray(4000)  # ALLOC before_raise bytes=20*size count=40 live_count=0
            raise KeyError("expected")
        except KeyError:
            del block
        finally:
            again = bytearray(4000)  # ALLOC finally bytes=20*size count=40 live_count=0
    del again


def lambdas():
    make = lambda: bytearray(4000)  # ALLOC lambda bytes=9*size+function count=19 live=9*size live_count=18
    fact("function", sys.getsizeof(make))
    for _ in range(9):
        block = make()
        kept.append(block)


def peak():
    bytearray(10)
    size = 64 << 20
    top = bytearray(size)  # ALLOC peak bytes=top count=2 live_count=0 peak=top
    fact("top", sys.getsizeof(top))


for _ in range(2):
    # What the interpreter allocates once is allocated here.
    bytearray(1)
# Calls pack their arguments into tuples, which come from a free list: it must not be empty.
spare = [(number,) for number in range(100)]
del spare

generators()
asyncio.run(gather_all())
threads()
freed_elsewhere()
for _ in range(3):
    for number in range(15):
        cached(number)
for number in range(8):
    kept.append(decorated(number, flag=True))
classes()
exceptions()
lambdas()
import imported_module  # noqa: E402

kept.append(imported_module.BLOCK)
peak()
end(33)
