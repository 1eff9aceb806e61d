"""Runs a script (fresh_pickle.py SCRIPT ARGUMENTS) that chooses between the pickle modules, with none imported yet: profilers that run programs in
their own process have imported one."""

import runpy
import sys

for name in ("pickle", "_pickle"):
    sys.modules.pop(name, None)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
