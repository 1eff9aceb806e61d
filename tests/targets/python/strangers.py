"""Threads that Python never made, calling into Python and into malloc; switches of stacks behind the interpreter's back.
Usage: strangers.py foreign_threads | greenlet | gevent | subinterpreter"""

import ctypes
import sys

from marks_of import end, fact

kept = []
how = sys.argv[1]
bytearray(10)
SIZE = sys.getsizeof(bytearray(5000))
fact("size", SIZE)


def fill_free_list():
    """Calls pack their arguments into tuples, which come from a free list: it must not be empty."""
    return [(number,) for number in range(100)] and None


def foreign_threads():
    """pthread_create with a ctypes callback as its start routine."""
    pthread = ctypes.CDLL(None)
    routine = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

    def start(argument):
        for _ in range(10):
            block = bytearray(5000)  # ALLOC foreign_threads/in_callback bytes=80*size count=160 live=80*size live_count=160
            kept.append(block)
        return None

    callback = routine(start)
    for _ in range(8):
        thread = ctypes.c_ulong()
        assert pthread.pthread_create(ctypes.byref(thread), None, callback, None) == 0
        assert pthread.pthread_join(thread, None) == 0


def greenlets():
    import greenlet

    def child(depth):
        if depth:
            return child(depth - 1)
        for _ in range(10):
            block = bytearray(5000)  # ALLOC greenlet/switched bytes=200*size count=400 live=200*size live_count=400
            kept.append(block)
            parent.switch()

    fill_free_list()
    parent = greenlet.getcurrent()
    children = [greenlet.greenlet(child) for _ in range(20)]
    for round_number in range(10):
        for number, made in enumerate(children):
            made.switch(number * 3) if round_number == 0 else made.switch()


def gevents():
    import gevent

    def work(number):
        for _ in range(10):
            gevent.sleep(0)
            block = bytearray(5000)  # ALLOC gevent/slept bytes=150*size count=300 live=150*size live_count=300
            kept.append(block)

    gevent.joinall([gevent.spawn(fill_free_list)])
    gevent.joinall([gevent.spawn(work, number) for number in range(15)])


def subinterpreters():
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        import _interpreters as interpreters
    made = interpreters.create()
    run = getattr(interpreters, "run_string")
    run(made, "bytearray(10)\nkept = bytearray(5000)\nother = [object() for _ in range(100)]\n")
    interpreters.destroy(made)
    block = bytearray(5000)  # ALLOC subinterpreter/afterwards bytes=size count=2 live=size live_count=2
    kept.append(block)


{"foreign_threads": foreign_threads, "greenlet": greenlets, "gevent": gevents, "subinterpreter": subinterpreters}[how]()
print("strangers: done")
end()
