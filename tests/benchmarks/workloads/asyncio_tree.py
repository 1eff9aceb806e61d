"""A tree of asyncio tasks, each of which awaits its children: many short coroutines, deep await chains."""

import asyncio
import sys

DEFAULT_SIZE = 14


async def node(depth, number):
    if depth == 0:
        await asyncio.sleep(0)
        return {number: str(number)}
    children = await asyncio.gather(node(depth - 1, 2 * number), node(depth - 1, 2 * number + 1))
    return {number: sum(len(child) for child in children), **(children[0] if depth % 3 else {})}


async def rounds(depth, count):
    total = 0
    for _ in range(count):
        total += len(await node(depth, 1))
    return total


def main(size):
    print(asyncio.run(rounds(size, 10)))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SIZE)
