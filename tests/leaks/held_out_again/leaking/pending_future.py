"""Every request has something to do when a future is done that never will be."""
import asyncio

from service import serve

ready = asyncio.new_event_loop().create_future()


def handle(request):
    answer = [f"part {request} {i}" for i in range(20)]  # leak
    ready.add_done_callback(lambda _: answer)


serve(handle)
