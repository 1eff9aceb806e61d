"""The 35 programs of pyperformance for which memray publishes its overhead (its documentation, "Performance"; pprint counts twice).

Each script is run as a plain program: pyperf's own --worker switch makes it call the function a fixed number of times in this process, without
calibration, warm-up or further processes. The numbers of calls give a bare run of one to three seconds.
"""

import functools
import subprocess

from .places import WORKLOADS
from .tools import Program
from .workloads import Workload

# name: (folder, calls, arguments)
PROGRAMS = {
    "docutils": ("docutils", 1, ()),
    "raytrace": ("raytrace", 4, ()),
    "fannkuch": ("fannkuch", 4, ()),
    "pprint_safe_repr": ("pprint", 2, ("--worker-task=0",)),
    "pprint_pformat": ("pprint", 1, ("--worker-task=1",)),
    "mdp": ("mdp", 1, ()),
    "async_tree": ("async_tree", 3, ("none",)),
    "async_tree_io": ("async_tree", 2, ("io",)),
    "async_tree_memoization": ("async_tree", 3, ("memoization",)),
    "async_tree_cpu_io_mixed": ("async_tree", 2, ("cpu_io_mixed",)),
    "deltablue": ("deltablue", 450, ()),
    "nbody": ("nbody", 20, ()),
    "nqueens": ("nqueens", 20, ()),
    "regex_dna": ("regex_dna", 10, ()),
    "go": ("go", 12, ()),
    "hexiom": ("hexiom", 300, ()),
    "meteor_contest": ("meteor_contest", 15, ()),
    "json_dumps": ("json_dumps", 120, ()),
    "json_loads": ("json_loads", 3_000, ()),
    "pickle": ("pickle", 10_000, ("pickle",)),
    "pickle_pure_python": ("pickle", 225, ("pickle", "--pure-python")),
    "unpickle": ("pickle", 5_000, ("unpickle",)),
    "unpickle_pure_python": ("pickle", 275, ("unpickle", "--pure-python")),
    "pickle_list": ("pickle", 60_000, ("pickle_list",)),
    "pickle_list_pure_python": ("pickle", 900, ("pickle_list", "--pure-python")),
    "unpickle_list": ("pickle", 25_000, ("unpickle_list",)),
    "unpickle_list_pure_python": ("pickle", 1_100, ("unpickle_list", "--pure-python")),
    "pickle_dict": ("pickle", 12_000, ("pickle_dict",)),
    "pickle_dict_pure_python": ("pickle", 225, ("pickle_dict", "--pure-python")),
    "spectral_norm": ("spectral_norm", 16, ()),
    "telco": ("telco", 320, ()),
    "sqlite_synth": ("sqlite_synth", 400_000, ()),
    "regex_v8": ("regex_v8", 85, ()),
    "regex_effbot": ("regex_effbot", 65, ()),
    "regex_effbot_bytes": ("regex_effbot", 65, ("--force_bytes",)),
}


@functools.lru_cache(maxsize=None)
def benchmarks_folder(python):
    """Where the package keeps its scripts."""
    code = "import os, pyperformance; print(os.path.join(os.path.dirname(pyperformance.__file__), 'data-files', 'benchmarks'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def program(folder, arguments):
    def make(context, calls):
        path = f"{benchmarks_folder(context.python)}/bm_{folder}/run_benchmark.py"
        script = (WORKLOADS / "fresh_pickle.py", path) if "--pure-python" in arguments else (path,)
        return Program("python", (*script, "--worker", f"--loops={calls}", "--values=1", "--warmups=0", *arguments))

    return make


PYPERFORMANCE = [Workload(name, "pyperformance", "python", calls, 1, program(folder, arguments))
                 for name, (folder, calls, arguments) in PROGRAMS.items()]
