"""Writes a program of forty modules whose functions call each other, and that goes a different way through them each time it allocates.

    many_stacks.py FOLDER; python3 FOLDER/main.py WAYS EVENTS
"""

import pathlib
import random
import sys

MODULES, FUNCTIONS, WAYS = 40, 25, 8

MAIN = '''
import collections
import importlib
import itertools
import random
import sys

import table

for number in range({modules}):
    importlib.import_module(f"part_{{number:02}}")
generator = random.Random(1)
ways, events = int(sys.argv[1]), int(sys.argv[2])


def way():
    """Mostly along the well-trodden paths, and seldom twice the same."""
    return [int({ways} * generator.random() ** 2) for _ in range(generator.randint(6, 28))] + [-1]


def churn(blocks):
    collections.deque(map(bytearray, itertools.repeat(700, blocks)), maxlen=0)


for round in range(ways):
    table.FUNCTIONS[generator.randrange(20)](way(), 0, round)
    if round % 1000 == 0:
        churn(events * 1000 // max(ways, 1) // 4)
    if round == ways * 2 // 3:
        table.KEPT[:] = table.KEPT[::3]
'''

TABLE = '''
FUNCTIONS = []
KEPT = []


def finish(round):
    size = 100 + (round * 7919) % 3000
    if round % 3 == 0:
        KEPT.append(bytearray(size))
    elif round % 3 == 1:
        bytes(bytearray(size))
    else:
        [None] * (size // 8)
'''


def function(number, generator):
    calls = "\n".join(f"    if way == {way}:\n        return FUNCTIONS[{generator.randrange(MODULES * FUNCTIONS)}](path, at + 1, round)" for way in range(WAYS))
    return f"def step_{number:04}(path, at, round):\n    way = path[at]\n{calls}\n    return finish(round)\n\n\nFUNCTIONS.append(step_{number:04})\n"


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(2)
    (folder / "table.py").write_text(TABLE.lstrip())
    (folder / "main.py").write_text(MAIN.format(modules=MODULES, ways=WAYS).lstrip())
    for module in range(MODULES):
        body = "\n\n".join(function(module * FUNCTIONS + i, generator) for i in range(FUNCTIONS))
        (folder / f"part_{module:02}.py").write_text(f"from table import FUNCTIONS, finish\n\n\n{body}")


main(pathlib.Path(sys.argv[1]))
