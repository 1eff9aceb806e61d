"""Allocations under so many Python frames: deep_stacks.py leaf|sweep DEPTH EVENTS.

leaf: all at the bottom, below a few functions that come and go. sweep: one at every level, down and up again over the whole depth, so
that no two in a row have the same stack.
"""

import sys


def leaf_one(number):
    return object()


def leaf_two(number):
    made = object()
    if number % 3 == 0:
        leaf_one(number)
    return made


def descend(depth, turns):
    if depth > 1:
        return descend(depth - 1, turns)
    for number in range(turns):
        if number % 2:
            leaf_one(number)
        else:
            leaf_two(number)


def sweep(depth):
    made = object()
    if depth > 1:
        sweep(depth - 1)
    return made


def main(shape, depth, events):
    sys.setrecursionlimit(depth + 100)
    if shape == "sweep":
        for _ in range(events // 2 // depth):
            sweep(depth)
    else:
        descend(depth, events * 3 // 13)  # an object and a number or two a turn


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
