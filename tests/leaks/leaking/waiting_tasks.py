"""Tasks that are begun with every request and never end."""
import asyncio

from service import churn

waiting = set()


async def follow_up(request, never):
    state = {"request": request, "buffer": bytearray(1500)}  # leak
    await never.wait()
    return state


async def main():
    never = asyncio.Event()
    for request in range(400):
        churn(request)
        waiting.add(asyncio.create_task(follow_up(request, never)))
        await asyncio.sleep(0.006)
    for task in waiting:
        task.cancel()


asyncio.run(main())
