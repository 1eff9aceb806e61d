"""Runs a command to its end, with everything it leaves behind, and tells what that took.

Wall time is that of the command. CPU time is told apart: `target` is the command's own process and the children it waited for (the program,
and whatever a tool does inside of it), `helper` that of processes which were left to us (heapline's collectors) or which are known by
name (heaptrack's interpreter).
"""

import ctypes
import os
import signal
import subprocess
import threading
import time

from .places import give_up
from .watch import Watch, descendants

PR_SET_CHILD_SUBREAPER = 36


class RunFailed(Exception):
    """The command did not end well; the text says how, with the end of its output."""


def adopt_orphans():
    """Collectors detach themselves from the program they record: become their parent, so that their CPU time is told to us."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        give_up("prctl(PR_SET_CHILD_SUBREAPER) failed")


def cpu_seconds(usage):
    return usage.ru_utime + usage.ru_stime


def reap_orphans():
    """Wait for all that is left. Its CPU seconds."""
    helper_cpu_s = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return helper_cpu_s
        helper_cpu_s += cpu_seconds(usage)


def kill_everything():
    """The command and what it started: all that is below this process."""
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def measure(command, folder, environment, timeout_s=1800, helpers=(), memory=False):
    """What a run took. `helpers`: names of the tool's own processes within the command's tree; `memory`: sample RSS by kind (disturbs time)."""
    output = folder / "output.txt"
    with open(output, "wb") as log:
        start = time.perf_counter()
        child = subprocess.Popen([str(part) for part in command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=subprocess.STDOUT)
        watch = Watch(helpers, memory) if helpers or memory else None
        alarm = threading.Timer(timeout_s, kill_everything)
        alarm.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - start
        alarm.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    helper_cpu_s = reap_orphans()
    settled_s = time.perf_counter() - start
    seen = watch.stop() if watch else None
    if child.returncode != 0:
        reason = f"was killed after {timeout_s} s" if wall_s >= timeout_s else f"ended with {child.returncode}"
        raise RunFailed(f"{reason}\n{output.read_text(errors='replace')[-2000:]}")
    own_helper_cpu_s = seen.helper_cpu_s if seen else 0.0
    result = {
        "wall_s": wall_s,
        "settled_s": settled_s,
        "target_cpu_s": cpu_seconds(usage) - own_helper_cpu_s,
        "helper_cpu_s": helper_cpu_s + own_helper_cpu_s,
        "cpu_s": cpu_seconds(usage) + helper_cpu_s,
        "max_rss_kb": usage.ru_maxrss,
    }
    return dict(result, **seen.memory_kb) if memory else result
