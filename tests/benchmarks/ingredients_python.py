"""What an object costs the interpreter, ns for its allocation and deallocation, CPU time of the thread. Run bare and under the recorder.

    ingredients_python.py [NAME ...]        what is measured: names that begin so

Prints a line of JSON a figure. Between runs it sleeps, so that the collector catches up.
"""

import itertools
import json
import os
import statistics
import sys
import time

RUNS = 24
PAUSE_S = 0.003
OBJECTS = 10000
LINES = 1000


def descend(depth, function):
    return function() if depth <= 1 else descend(depth - 1, function)


def repeat():
    start = time.thread_time_ns()
    for _ in itertools.repeat(None, OBJECTS):
        object()
    return (time.thread_time_ns() - start) / OBJECTS


def run_code(code):
    names = {}
    start = time.thread_time_ns()
    exec(code, names)
    return (time.thread_time_ns() - start) / LINES


def same_stack(depth):
    """The same line again and again."""
    return [descend(depth - 3, repeat) for _ in pauses()]


def known_lines(code):
    """One object a line, whose stacks are all known."""
    return [run_code(code) for _ in pauses()]


def new_lines(code):
    """The same, in a code object that the recorder hasn't met: each stack has to be defined."""
    return [run_code(code.replace(co_firstlineno=1 + number)) for number in pauses()]


def pauses():
    for number in range(RUNS):
        time.sleep(PAUSE_S)
        yield number


def main(wanted):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0) | {0})})
    code = compile("object()\n" * LINES, "lines", "exec")
    figures = {f"python same stack {depth}": lambda depth=depth: same_stack(depth) for depth in (5, 20, 100)}
    figures["python known lines"] = lambda: known_lines(code)
    figures["python new lines"] = lambda: new_lines(code)
    for name, figure in figures.items():
        if not wanted or name.startswith(tuple(wanted)):
            figure()
            samples = figure()
            print(json.dumps({"name": name, "min": min(samples), "median": statistics.median(samples)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
