"""A queue between a producer in bursts and a thread that works it off."""
import queue
import threading
import time

from service import serve

jobs = queue.Queue()


def work():
    while jobs.get() is not None:
        time.sleep(0.002)


def handle(request):
    if request % 40 < 10:
        for _ in range(4):
            jobs.put(bytearray(5000))


worker = threading.Thread(target=work, daemon=True)
worker.start()
serve(handle)
jobs.put(None)
worker.join()
