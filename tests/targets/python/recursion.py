"""Frames without end: where the interpreter says so, its loop has begun, but the frame that it is to run is nowhere linked yet (up to 3.9)."""


def down():
    return down()


for _ in range(3):
    try:
        down()
    except RecursionError as error:
        print(len(bytes(7001)), error)  # ALLOCATED
