"""Python called by C called by Python: each case allocates once or twice, at a line and of a size of its own."""
import ctypes
import functools


def key(item):
    return len(bytes(70001 + item))  # KEY


def call(function):
    return function([1, 2], key=key)


def inner(size):
    return bytes(size)  # INNER


def outer(size):
    return inner(size)


class Shown:
    def __init__(self, size):
        self.size = size

    def __repr__(self):
        return "x" * self.size  # SHOWN


def generate():
    yield bytes(110001)  # GENERATED


class Attribute:
    def __getattr__(self, name):
        return outer(120001)


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def callback(size):
    return len(outer(size))


def main():
    call(sorted)
    call(max)
    functools.reduce(lambda one, other: outer(other), [0, 90001])
    "%r" % Shown(100001)
    list(generate())
    Attribute().missing
    callback(130001)
    outer(140001)


main()
