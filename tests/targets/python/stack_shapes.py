"""Allocates in every situation a Python stack can be in, and writes down the stack that each allocation should be credited with.

    stack_shapes.py OUT SCENARIO…

Each call of probe() asks for a bytes object of a size of its own, so that the recorder's events can be told apart. OUT gets a JSON list
of [size of the request, [[function, file, line], … innermost first]].
"""

import functools
import gc
import itertools
import json
import os
import sys
import threading
import weakref

try:
    import asyncio
    import ctypes
except ImportError:  # not for sub-interpreters
    pass

FIRST_SIZE = int(os.environ.get("STACK_SHAPES_FIRST_SIZE", "4000"))
BYTES_HEADER = sys.getsizeof(b"")
HAS_QUALNAME = sys.version_info >= (3, 11)

# A collection that begins by itself may do so while CPython 3.11 makes a generator: the generator's frame runs by then, yet f_back skips it.
gc.disable()

expected = []
counter = itertools.count(FIRST_SIZE)


def describe(frame):
    code = frame.f_code
    return [code.co_qualname if HAS_QUALNAME else code.co_name, code.co_filename, frame.f_lineno]


def stack_from(frame):
    stack = []
    while frame is not None:
        stack.append(describe(frame))
        frame = frame.f_back
    return stack


def probe(*ignored):
    size = next(counter)
    frame = sys._getframe()
    block = bytes(size); stack = stack_from(frame)  # noqa: E702 -- one line: the frame still is where it allocated
    expected.append([size + BYTES_HEADER, stack])
    return len(block)


# ---- calls ----

def recurse(depth):
    if depth == 0:
        return probe()
    return (recurse(depth - 1)
            if depth % 2 else
            recurse(
                depth - 1))


def same_leaf_from_different_lines():
    def leaf():
        return probe()
    leaf()
    leaf(); leaf()  # noqa: E702
    for _ in range(3):
        leaf()
        (leaf(),
         leaf())


def multi_line_calls():
    max(
        probe(),
        probe(
        ),
        key=lambda value: (
            probe()
        ),
    )
    return dict(
        first=probe(),
        second=[
            probe(),
            probe()],
    )


def exceptions():
    try:
        try:
            probe()
            raise KeyError
        finally:
            probe()
    except KeyError:
        probe()
    with Everything():
        probe()


class Everything:
    probe()

    def __init__(self):
        probe()

    def __enter__(self):
        probe()

    def __exit__(self, *_):
        probe()

    def __del__(self):
        probe()

    @property
    def value(self):
        return probe()

    def __getattr__(self, name):
        return probe()

    def __getitem__(self, key):
        return probe()

    def __lt__(self, other):
        probe()
        return False

    def __add__(self, other):
        return probe()

    def __call__(self):
        return probe()

    def __hash__(self):
        probe()
        return 1

    def __repr__(self):
        probe()
        return "everything"


class Metaclass(type):
    def __call__(cls, *arguments):
        probe()
        return super().__call__(*arguments)


class Made(metaclass=Metaclass):
    def __new__(cls, *arguments):
        probe()
        return super().__new__(cls)

    def __init__(self, *arguments):
        probe()
        super().__init__()


def methods():
    everything = Everything()
    everything.value
    everything.unknown
    everything[0]
    everything + 1
    everything()
    repr(everything)
    {everything: 1}
    Made(1)


def callbacks_from_c():
    everything = [Everything() for _ in range(3)]
    sorted(everything)
    sorted([3, 2, 1], key=lambda value: probe())
    list(map(probe, range(3)))
    functools.reduce(lambda a, b: probe(), range(3))
    functools.partial(probe)()
    list(filter(lambda value: probe(), range(2)))


def comprehensions():
    [probe() for _ in range(2)]
    {index: probe() for index in range(2)}
    {probe() for _ in range(2)}
    list(probe() for _ in range(2))
    [[probe() for _ in range(2)]
     for _ in range(2)]


def decorator(function):
    @functools.wraps(function)
    def wrapper(*arguments, **named):
        return function(*arguments, **named)
    return wrapper


@decorator
@decorator
def decorated(a, b=1, *rest, d=2, **named):
    return probe()


def closures():
    cell = 1

    def middle(extra=[1]):
        nonlocal cell

        def inner():
            return cell, probe()
        return inner()
    middle()
    middle(extra=3)


def calls():
    for _ in range(3):
        recurse(0)
        recurse(7)
        recurse(60)
        same_leaf_from_different_lines()
        multi_line_calls()
        exceptions()
        methods()
        callbacks_from_c()
        comprehensions()
        decorated(1)
        decorated(1, 2, 3, d=4, e=5)
        closures()


# ---- generators and coroutines ----

def generator(count):
    for index in range(count):
        probe()
        yield index
        probe()


def delegating(count):
    yield from generator(count)
    probe()


def generators():
    for _ in generator(3):
        probe()
    for _ in delegating(3):
        probe()
    suspended = delegating(2)
    next(suspended)
    recurse(2)
    next(suspended)
    suspended.close()
    for _ in zip(generator(4), generator(4)):
        probe()
    thrower = generator(2)
    next(thrower)
    try:
        thrower.throw(ValueError)
    except ValueError:
        probe()


async def coroutine(depth):
    probe()
    await asyncio.sleep(0)
    probe()
    if depth:
        await coroutine(depth - 1)
    probe()


async def async_generator(count):
    for index in range(count):
        probe()
        yield index
        await asyncio.sleep(0)
        probe()


async def coroutines_main():
    await coroutine(3)
    async for _ in async_generator(3):
        probe()
    await asyncio.gather(coroutine(2), coroutine(1), *[asyncio.ensure_future(coroutine(index)) for index in range(3)])
    [index async for index in async_generator(2)]
    loop = asyncio.get_running_loop()
    loop.call_soon(probe)
    await loop.run_in_executor(None, probe)


def coroutines():
    asyncio.run(coroutines_main())


# ---- code that comes and goes ----

def short_lived_code():
    """Code objects are made and dropped; their addresses are used again."""
    for index in range(200):
        source = "\n" * (index % 50) + "probe()\ndef inner_%d():\n    return probe()\ninner_%d()\n" % (index, index)
        exec(compile(source, "<made %d>" % index, "exec"), {"probe": probe})
        eval(compile("probe()" if index % 2 else "[probe() for _ in range(2)]", "<evaluated %d>" % index, "eval"), {"probe": probe})


def dying_code():
    """A weak reference's callback runs while its code object is being destroyed."""
    kept = []
    for index in range(20):
        code = compile("def inner():\n    return %d\nkept.append(inner)" % index, "<dying %d>" % index, "exec")
        exec(code, {"kept": kept})
        inner = kept.pop()
        reference = weakref.ref(inner.__code__, lambda _: bytearray(100))
        del code
        del inner
        assert reference() is None or True
        probe()


def long_code():
    """More bytecode, and a longer line table, than one piece of a definition holds."""
    lines = ["value = 0"] + ["value = value + %d" % (index % 100) for index in range(30000)] + ["probe()"]
    exec(compile("\n".join(lines), "<long>", "exec"), {"probe": probe})


def odd_names():
    broken = compile("probe()", "whole", "exec").replace(co_filename="bytes\udcff\udc80.py")
    exec(broken, {"probe": probe})
    for name in ("caf\u00e9.py", "\u4e2d\u6587.py", "\U0001f600.py", "a" * 5000, "\u4e2d" * 2000):
        exec(compile("probe()", name, "exec"), {"probe": probe})


# ---- things that run on their own ----

def garbage():
    def on_collection(phase, info):
        probe()
    gc.callbacks.append(on_collection)
    gc.collect()
    gc.callbacks.remove(on_collection)
    cycle = Everything()
    cycle.itself = cycle
    del cycle
    gc.collect()


def weak_references():
    class Referent:
        pass
    referent = Referent()
    reference = weakref.ref(referent, probe)
    del referent
    return reference


def tracing():
    def trace(frame, event, argument):
        return trace
    sys.settrace(trace)
    recurse(3)
    same_leaf_from_different_lines()
    sys.settrace(None)
    sys.setprofile(lambda frame, event, argument: None)
    recurse(2)
    list(delegating(2))
    sys.setprofile(None)


def threads():
    def worker(depth):
        for _ in range(20):
            recurse(depth)
            for _ in generator(2):
                probe()
    running = [threading.Thread(target=worker, args=(depth,)) for depth in range(6)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def from_native_code():
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

    def compare(a, b):
        probe()
        return 0
    libc = ctypes.CDLL(None)
    array = (ctypes.c_int * 3)(3, 2, 1)
    libc.qsort.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, compare_type]
    libc.qsort.restype = None
    libc.qsort(array, 3, 4, compare_type(compare))


def native_probe(allocate):
    size = next(counter)
    frame = sys._getframe()
    allocate(size); stack = stack_from(frame)  # noqa: E702
    expected.append([size, stack])


def native_allocations():
    """malloc with and without the GIL, in several threads."""
    for library in (ctypes.CDLL(None), ctypes.PyDLL(None)):
        allocate = library.malloc
        allocate.argtypes, allocate.restype = [ctypes.c_size_t], ctypes.c_void_p
        native_probe(allocate)
        running = [threading.Thread(target=native_probe, args=(allocate,)) for _ in range(4)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()


def greenlets():
    import greenlet

    def body(depth):
        probe()
        if depth:
            recurse(depth)
            greenlet.getcurrent().parent.switch()
            probe()
            recurse(depth)
    running = [greenlet.greenlet(body) for _ in range(6)]
    for index, one in enumerate(running):
        one.switch(index)
        probe()
    for index, one in enumerate(running):
        if not one.dead:
            recurse(index)
            one.switch()
            probe()

    def deep(depth):
        if depth:
            return deep(depth - 1)
        probe()
        greenlet.getcurrent().parent.switch()
        probe()
    first, second = greenlet.greenlet(deep), greenlet.greenlet(deep)
    first.switch(30)
    second.switch(10)
    probe()
    first.switch()
    second.switch()


def forks():
    recurse(5)
    child = os.fork()
    if child == 0:
        del expected[:]
        recurse(5)
        short_lived_code()
        write(sys.argv[1] + ".child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    recurse(5)


def tracemalloc_on_and_off():
    import tracemalloc
    recurse(3)
    tracemalloc.start(5)
    recurse(3)
    same_leaf_from_different_lines()
    tracemalloc.stop()
    recurse(3)


def sub_interpreters():
    """Runs scenarios of this file in interpreters of their own, one after the other, in several threads."""
    try:
        import _interpreters as interpreters
    except ImportError:
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            return
    run = getattr(interpreters, "exec", None) or interpreters.run_string

    def worker(number):
        script = ("import sys, os\nsys.argv = %r\nos.environ['STACK_SHAPES_FIRST_SIZE'] = %r\n"
                  "source = open(%r).read()\nexec(compile(source, %r, 'exec'), {'__name__': '__main__'})\n"
                  % ([__file__, "%s.%d" % (sys.argv[1], number), "generators", "short_lived_code", "calls"],
                     str(FIRST_SIZE + 10000 * number), __file__, __file__))
        interpreter = interpreters.create()
        failure = run(interpreter, script)
        assert failure is None, failure
        interpreters.destroy(interpreter)
    for number in (1, 2):
        worker(number)
    if sys.version_info >= (3, 12):
        running = [threading.Thread(target=worker, args=(number,)) for number in (3, 4)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    probe()


def write(path):
    with open(path, "w") as out:
        json.dump(expected, out)


if __name__ == "__main__":
    for scenario in sys.argv[2:]:
        globals()[scenario]()
    write(sys.argv[1])
