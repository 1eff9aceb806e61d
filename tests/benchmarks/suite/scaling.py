"""Curves: the cost of an event against the length of the run, the number of threads, and the depth of the stack."""

from .workloads import Workload, executable, script

EVENTS = (1_000_000, 10_000_000, 100_000_000)
THREADS = (1, 2, 4, 8, 16, 64)
DEPTHS = (10, 30, 100, 300, 1000)
THREAD_EVENTS = 40_000_000
DEEP_EVENTS = {"python": 10_000_000, "native": 4_000_000}  # a native stack of 1,000 frames takes microseconds


def curve(family, kind, parameters, size_of, make_of):
    """One workload for each place on the curve. Sizes are events; with --quick a hundredth of them."""
    return [Workload(f"{family}-{parameter}", "scaling", kind, size_of(parameter), max(size_of(parameter) // 100, 100_000), make_of(parameter),
                     family, parameter)
            for parameter in parameters]


SCALING = [
    *curve("events-python", "python", EVENTS, lambda events: events, lambda events: script("objects")),
    *curve("events-native", "native", EVENTS, lambda events: events, lambda events: executable("churn")),
    *curve("threads", "native", THREADS, lambda threads: THREAD_EVENTS, lambda threads: executable("threads", str(threads))),
    *curve("depth-python-leaf", "python", DEPTHS, lambda depth: DEEP_EVENTS["python"], lambda depth: script("deep_stacks", "leaf", str(depth))),
    *curve("depth-python-sweep", "python", DEPTHS, lambda depth: DEEP_EVENTS["python"], lambda depth: script("deep_stacks", "sweep", str(depth))),
    *curve("depth-native-leaf", "native", DEPTHS, lambda depth: DEEP_EVENTS["native"], lambda depth: executable("deep_stacks", "leaf", str(depth))),
    *curve("depth-native-sweep", "native", DEPTHS, lambda depth: DEEP_EVENTS["native"], lambda depth: executable("deep_stacks", "sweep", str(depth))),
]
