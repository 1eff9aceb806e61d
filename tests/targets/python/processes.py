"""Python programs that make processes, each of which allocates on a marked line. Usage: processes.py HOW (pool:fork and so on:
multiprocessing with that start method)"""

import os
import subprocess
import sys

from marks_of import fact

bytearray(10)


def parent_block():
    block = bytearray(40_000)  # ALLOC parent bytes=40057 count=2 live=? peak=?
    return block


def inherited_objects():
    bytearray(10)
    blocks = [None] * 1000
    for i in range(1000):
        blocks[i] = object()  # ALLOC inherited/small live=? bytes=16000 count=1000
    for i in range(500, 1000):
        blocks[i] = bytearray(3000)  # ALLOC inherited/large live=? bytes=500*3057 count=1000
    return blocks


def child_work(number=0):
    bytearray(10)
    block = bytearray(60_000)  # ALLOC child/block bytes=60057 count=2 live=? peak=?
    return len(block) + number


def main(how):
    kept = parent_block()
    if how == "fork":
        blocks = inherited_objects()
        child = os.fork()
        if child == 0:
            del blocks[100:600]
            child_work()
            os._exit(3)
        fact("child", child)
        assert os.waitpid(child, 0)[1] == 3 << 8
    elif how == "subprocess":
        child = subprocess.Popen([sys.executable, __file__, "work"])
        fact("child", child.pid)
        assert child.wait() == 0
    elif how == "subprocess_shell":
        assert subprocess.check_output("echo from the shell", shell=True) == b"from the shell\n"
    elif how == "work":
        child_work()
    else:
        import multiprocessing

        context = multiprocessing.get_context(how[len("pool:"):])
        with context.Pool(2) as pool:
            assert pool.map(child_work, range(6)) == [60_000 + number for number in range(6)]
        worker = context.Process(target=child_work)
        worker.start()
        fact("child", worker.pid)
        worker.join()
        assert worker.exitcode == 0
    print("done", len(kept))


if __name__ == "__main__":
    main(sys.argv[1])
