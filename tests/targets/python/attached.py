"""Is attached to while it waits for a line on standard input; does a known amount of work after each. A second thread
computes meanwhile. busy: the main thread looks for the line again and again, instead of waiting in one call. The exit status is how many scripts
its interpreter was asked to run."""

import gc
import os
import select
import sys
import threading
import time


class Node:
    __slots__ = ("left", "right")


def watch(event, arguments):
    if event.endswith("remote_debugger_script"):
        scripts.append(event)


def await_line(round_):
    os.write(1, b"%d %d\n" % (round_, os.getpid()))
    while is_busy and not select.select([0], [], [], 0.001)[0]:
        pass
    return os.read(0, 1)


def fill(kept, start, stop):
    for i in range(start, stop):
        kept[i] = Node()  # ALLOC nodes count=1000*rounds live_count=600*rounds live=? bytes=?


def compute(stop):
    while not stop.is_set():
        sum(range(1000))
        time.sleep(0.0005)


def main():
    gc.disable()
    stop = threading.Event()
    thread = threading.Thread(target=compute, args=(stop,))
    thread.start()
    round_ = 0
    kept = [None] * 1000
    fill(kept, 0, 1000)
    while await_line(round_):
        block = bytearray(100000)  # a malloc under the GIL: it finds out that recording has begun
        del block
        kept = [None] * 1000
        fill(kept, 0, 1000)
        kept[:400] = [None] * 400
        keep.append(kept)
        round_ += 1
    stop.set()
    thread.join()


keep, scripts = [], []
is_busy = sys.argv[1:] == ["busy"]
sys.addaudithook(watch)
main()
sys.exit(len(scripts))
