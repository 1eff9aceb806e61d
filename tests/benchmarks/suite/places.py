"""Where things are, and how the benchmarks speak to whoever runs them."""

import pathlib
import shlex
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
BENCH = ROOT / "build" / "bench"  # the scratch environment: nothing in it is needed to stay
WORKLOADS = HERE / "workloads"
INPUTS = BENCH / "inputs"
SCRATCH = BENCH / "scratch"
RESULTS = BENCH / "results"
DOCUMENT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"


def say(text):
    print(text, file=sys.stderr, flush=True)


def give_up(text):
    sys.exit(f"benchmarks: {text}")


def readable(command):
    """A command line as text that can be repeated from the root of the source tree."""
    return shlex.join(str(part).replace(f"{ROOT}/", "") for part in command)
