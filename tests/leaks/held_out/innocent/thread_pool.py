"""A pool of threads, each with a buffer of its own, that starts as many as it needs."""
import concurrent.futures
import threading

from service import serve

own = threading.local()


def work(request):
    if not hasattr(own, "buffer"):
        own.buffer = bytearray(50000)
    return sum(own.buffer[:100]) + request


pool = concurrent.futures.ThreadPoolExecutor(max_workers=6)


def handle(request):
    for future in [pool.submit(work, request) for _ in range(1 + request % 5)]:
        future.result()


serve(handle)
pool.shutdown()
