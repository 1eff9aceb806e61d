"""What the viewer's tests record: it holds, churns, copies, leaks and uses a second thread, in phases that a range of time can tell apart."""

import json
import threading
import time

KEPT = []


def hold(size):
    return bytearray(size)


def leak(rounds):
    for _ in range(rounds):
        KEPT.append(bytearray(20_000))
        time.sleep(0.01)


def churn(rounds):
    for number in range(rounds):
        json.dumps({"number": number, "items": list(range(100))})


def copy(block, times):
    for _ in range(times):
        bytes(block)


def work():
    block = hold(3_000_000)
    churn(2000)
    copy(block, 20)


def main():
    first = hold(8_000_000)
    leak(40)
    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    del first
    leak(40)
    copy(KEPT[0], 10)


main()
