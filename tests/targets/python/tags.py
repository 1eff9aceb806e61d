"""Python programs with tags. Usage: tags.py HOW. Each block's size tells which tag it must be under."""

import asyncio
import contextvars
import sys
import threading

import heapline

kept = []


def block(size):
    kept.append(bytearray(size))


async def child():
    await asyncio.sleep(0)
    block(500_000)


async def task(name, size):
    with heapline.tag(name):
        started = asyncio.ensure_future(child())
        for _ in range(20):
            block(size)
            await asyncio.sleep(0)
        await started
    block(50_000)


@heapline.tag("decorated coroutine")
async def decorated():
    await asyncio.sleep(0.001)
    block(2_000_000)


async def interleaved():
    await asyncio.gather(*(task(f"task {number}", 100_000 * (number + 1)) for number in range(4)), decorated())
    await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, block, 60_000)
    async with heapline.tag("async with"):
        await asyncio.sleep(0)
        block(3_000_000)


@heapline.tag("decorated")
def decorated_function(depth):
    """Recursion stays one tag."""
    if depth:
        return decorated_function(depth - 1)
    block(1_000_000)
    return "returned"


def plain():
    block(10_000)
    with heapline.tag("outer"):
        block(100_000)
        with heapline.tag("inner"):
            block(200_000)
        block(300_000)
        try:
            with heapline.tag("fails"):
                block(400_000)
                raise ValueError
        except ValueError:
            block(500_000)
    assert decorated_function(50) == "returned"
    assert decorated_function.__name__ == "decorated_function"
    shared = heapline.tag("entered twice")
    with shared, shared:
        block(600_000)
    block(20_000)


def in_threads():
    def work(name, size):
        block(70_000)  # a new thread has no tag
        with heapline.tag(name):
            block(size)

    with heapline.tag("starts them"):
        threads = [threading.Thread(target=work, args=(f"thread {number}", 100_000 * (number + 1))) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def contexts():
    """A context brings its own tag, whoever runs it."""
    with heapline.tag("first"):
        first = contextvars.copy_context()
    empty = contextvars.Context()
    with heapline.tag("second"):
        first.run(block, 100_000)
        empty.run(block, 200_000)
        try:
            first.run(int, "x")
        except ValueError:
            pass
        block(300_000)


def generator():
    try:
        heapline.tag("steps")(generator_function)
    except TypeError as error:
        assert "generator" in str(error)
    else:
        raise AssertionError


def generator_function():
    yield 1


def main(how):
    if how == "asyncio":
        asyncio.run(interleaved())
    elif how == "uvloop":
        import uvloop
        uvloop.install()
        asyncio.run(interleaved())
    else:
        {"plain": plain, "threads": in_threads, "contexts": contexts, "generator": generator}[how]()
    print("done", len(kept))


if __name__ == "__main__":
    main(sys.argv[1])
