"""Greenlets that begin, switch and end at many depths of Python and native frames: each allocates at every step.

Native frames are made by sorted and functools.reduce, so that Python segments stand between them; some greenlets run C functions only.
"""
import functools

import greenlet

STEPS = 5
kept = []


def allocate(size):
    kept.append(bytes(3000 + size))
    del kept[:-50]


def dive(depth, then):
    """`then` below so many more frames of Python, of loops called by native code in turn."""
    allocate(depth)
    if depth == 0:
        return then()
    if depth % 3 == 0:
        return sorted([1, 2], key=lambda item: item if item == 2 else len([dive(depth - 1, then)]))
    if depth % 3 == 1:
        return functools.reduce(lambda one, other: dive(depth - 1, then), [0, 1])
    return dive(depth - 1, then)


def switch_up():
    allocate(1)
    greenlet.getcurrent().parent.switch()
    allocate(2)


def body(depth):
    """Switches away from several depths, deeper and less deep than before."""
    for step in range(STEPS):
        dive((depth + step * 5) % 17, switch_up)
        allocate(step)


def nested(depth):
    """Begins a greenlet of its own, which is switched to from other depths."""
    inner = greenlet.greenlet(body)
    dive(depth % 5, lambda: inner.switch(depth))
    greenlet.getcurrent().parent.switch()
    while not inner.dead:
        dive(len(kept) % 7, inner.switch)
        greenlet.getcurrent().parent.switch()


def run(bodies):
    """Each time a greenlet is switched to, from another depth."""
    running = [greenlet.greenlet(function) for function in bodies]
    for index, one in enumerate(running):
        dive(index % 11, lambda: one.switch(index))
    turn = 0
    while running:
        for one in running:
            turn += 1
            dive(turn % 13, one.switch)
        running = [one for one in running if not one.dead]


def of_native_code():
    """Without a Python frame of its own: the stack is the greenlet module's and what it calls."""
    for depth in range(8):
        dive(depth, lambda: greenlet.greenlet(bytes).switch(5000 + depth))
        dive(depth, lambda: greenlet.greenlet(sorted).switch(range(2000)))


def trace(event, places):
    """Called by the greenlet module after each switch, in the greenlet that was switched to."""
    allocate(len(event))


for _ in range(2):
    run([body] * 6 + [nested] * 4)
    of_native_code()
    greenlet.settrace(trace)
    run([nested] * 2 + [body] * 3)
    of_native_code()
    greenlet.settrace(None)
