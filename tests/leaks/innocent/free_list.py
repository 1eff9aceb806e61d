"""A supervisor that looks after its workers in each tick: each list(…) is one more of those that CPython keeps for the next ones, up to 80."""
import gc
import time

workers = {number: object() for number in range(4)}


def look_after():
    for number, worker in list(workers.items()):
        assert worker is workers[number]


gc.collect()  # which empties the interpreter's free lists
for _ in range(60):
    look_after()
    time.sleep(0.04)
