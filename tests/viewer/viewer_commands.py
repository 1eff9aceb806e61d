"""The command line of the build, for the viewer's tests."""

import json
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("HEAPLINE_BUILD", HERE.parent.parent / "build")).resolve()
HEAPLINE = BUILD / "cli" / "heapline"
PYTHON = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else "python3"


def heapline(*arguments, **options):
    result = subprocess.run([HEAPLINE, *map(str, arguments)], capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def document(*arguments):
    return json.loads(heapline(*arguments, "--json"))
