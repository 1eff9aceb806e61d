"""A thread that looks at the processes below this one from time to time, for what the kernel does not add up by itself.

Two uses: the CPU time of helper processes which a tool runs inside its command's tree (known by name), and memory by kind. `private` is
RssAnon + RssFile of the target's largest process, `shared` its RssShmem: the kernel counts shared mappings as resident in every process
that touched them, so the rings between a target and its collector show there. Peaks are VmHWM, and not the rusage of wait4, in which
a process inherits the peak of whoever it was forked from.
"""

import os
import pathlib
import threading

CPU_INTERVAL_S = 0.1
MEMORY_INTERVAL_S = 0.005
COMMAND, COLLECTOR = "heapline", "heapline-collec"  # as the kernel cuts names
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def children_of(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, pathlib.Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except OSError:
        pass
    return found


def descendants(pid):
    waiting, found = children_of(pid), []
    while waiting:
        found.append(waiting.pop())
        waiting += children_of(found[-1])
    return found


class Watch:
    def __init__(self, helpers, memory):
        self.helpers, self.memory = helpers, memory
        self.memory_kb = dict.fromkeys(("private_kb", "shared_kb", "peak_kb", "collector_peak_kb"), 0)
        self._cpu_s = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def helper_cpu_s(self):
        return sum(self._cpu_s.values())

    def stop(self):
        self._ending.set()
        self._thread.join()
        return self

    def _run(self):
        while not self._ending.wait(MEMORY_INTERVAL_S if self.memory else CPU_INTERVAL_S):
            for pid in descendants(os.getpid()):
                try:
                    self._look_at(pid)
                except (OSError, ValueError):
                    pass  # it ended meanwhile

    def _look_at(self, pid):
        name, _, rest = pathlib.Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        if name in self.helpers:
            fields = rest.split()
            self._cpu_s[pid] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
        if self.memory and name != COMMAND:
            status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
            anonymous, file, shared, peak = (int(status.get(key, "0").split()[0]) for key in ("RssAnon", "RssFile", "RssShmem", "VmHWM"))
            if name == COLLECTOR:
                self._raise(collector_peak_kb=peak)
            else:
                self._raise(private_kb=anonymous + file, shared_kb=shared, peak_kb=peak)

    def _raise(self, **seen_kb):
        for name, kb in seen_kb.items():
            self.memory_kb[name] = max(self.memory_kb[name], kb)
