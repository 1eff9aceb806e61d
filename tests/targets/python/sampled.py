"""Objects of known sizes, kept and dropped, for recordings of a sample."""


def keep(count, size):
    objects = [None] * count
    for i in range(count):
        objects[i] = bytes(size)  # kept
    return objects


def drop(count, size):
    for _ in range(count):
        bytes(size)  # dropped


small = keep(100000, 100)
large = keep(10000, 3000)
del small
drop(300000, 50)
drop(10000, 5000)
