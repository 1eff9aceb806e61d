"""The ways a Python program can end. Usage: endings.py HOW"""

import atexit
import faulthandler
import os
import signal
import sys
import threading
import time

how = sys.argv[1]
bytearray(10)
block = bytearray(30_000)  # ALLOC kept bytes=30057 count=2 live=?
print("about to end", flush=True)


def late():
    more = bytearray(20_000)  # ALLOC atexit/late bytes=20057 count=2 live=?
    print("at exit", len(more), flush=True)


def from_thread():
    time.sleep(0.01)
    os._exit(46)


if how == "return":
    pass
elif how == "exit":
    sys.exit(41)
elif how == "message":
    sys.exit("an error message")
elif how == "_exit":
    os._exit(42)
elif how == "raise":
    raise RuntimeError("uncaught")
elif how == "interrupt":
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
elif how == "abort":
    os.abort()
elif how == "segv":
    faulthandler.enable()
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(5)
elif how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif how == "atexit":
    atexit.register(late)
elif how == "thread":
    threading.Thread(target=from_thread).start()
elif how == "daemon":
    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
elif how == "recursion":
    def recurse():
        recurse()
    recurse()
elif how == "memory":
    bytearray(1 << 60)
else:
    sys.exit(2)
