"""Finds the CPythons of this machine, and installs packages for them where pip can."""

import fcntl
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from recording import BUILD, clean_environment

OLDEST = (3, 8)
PROBE = """
import sys, json, platform, sysconfig
print(json.dumps([list(sys.version_info[:3]), platform.python_implementation(), sys.executable,
                  "/libpython" in open("/proc/self/maps").read(), bool(sysconfig.get_config_var("Py_GIL_DISABLED"))]))
"""


class Interpreter:
    def __init__(self, path, version, shared, free_threaded, is_named=False):
        self.path, self.version, self.shared, self.free_threaded, self.is_named = path, tuple(version), shared, free_threaded, is_named

    @property
    def id(self):
        number = ".".join(map(str, self.version))
        return f"{number}{'t' if self.free_threaded else ''}-{'shared' if self.shared else 'static'}"


def probe(path):
    return json.loads(subprocess.run([path, "-c", PROBE], capture_output=True, text=True, timeout=30, env=clean_environment()).stdout)


def named(path):
    """By this name: what it says of itself may be no program that this machine can execute (tests/cross/emulate)."""
    version, _, _, shared, free_threaded = probe(path)
    return Interpreter(path, version, shared, free_threaded, is_named=True)


def find():
    """The interpreter that HEAPLINE_TEST_PYTHON names; else every CPython from OLDEST on: in PATH, pyenv's, Debian's. One of each version and kind."""
    if "HEAPLINE_TEST_PYTHON" in os.environ:
        return [named(os.environ["HEAPLINE_TEST_PYTHON"])]
    candidates = ["/usr/bin/python3", *sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3")))]
    for folder in [*os.environ.get("PATH", "").split(":"), "/usr/bin"]:
        candidates += sorted(glob.glob(f"{folder}/python3.[0-9]*[0-9t]")) if "shims" not in folder else []
    found = {}
    for candidate in candidates:
        real = os.path.realpath(candidate)
        if not os.access(real, os.X_OK) or "config" in os.path.basename(candidate):
            continue
        try:
            version, implementation, path, shared, free_threaded = probe(candidate)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            continue
        if implementation == "CPython" and tuple(version) >= OLDEST:
            interpreter = Interpreter(path, version, shared, free_threaded)
            found.setdefault(interpreter.id, interpreter)
    return sorted(found.values(), key=lambda interpreter: (interpreter.version, interpreter.shared))


INTERPRETERS = find()
every_interpreter = pytest.mark.parametrize("python", INTERPRETERS, ids=lambda python: python.id)
# For what does not depend on the version: one interpreter is enough.
DEFAULT = next((python for python in INTERPRETERS if python.path == "/usr/bin/python3"), INTERPRETERS[0] if INTERPRETERS else None)
# For what depends on how an interpreter keeps its frames: each layout once.
LAYOUTS = list({python.version[:2]: python for python in INTERPRETERS}.values())
# The ends of the range and the one that is linked statically: where any of them will tell.
SOME = list({python.id: python for python in (*LAYOUTS[:1], *([DEFAULT] if DEFAULT else []), *LAYOUTS[-1:])}.values())
some_interpreters = pytest.mark.parametrize("python", SOME, ids=lambda python: python.id)
every_layout = pytest.mark.parametrize("python", LAYOUTS, ids=lambda python: python.id)


def package_folder(python, *packages):
    """A folder for PYTHONPATH that holds the packages for this interpreter; skips where they can't be had."""
    probe = f"import {', '.join(packages)}"
    if subprocess.run([python.path, "-c", probe], capture_output=True, env=clean_environment()).returncode == 0:
        return None
    version = "%d.%d" % python.version[:2]
    folder = pathlib.Path(os.environ.get("HEAPLINE_TEST_PACKAGES", BUILD / "python-packages")) / f"{version}-{'-'.join(packages)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        failed = folder.with_name(folder.name + ".failed")
        if not folder.exists() and not failed.exists():
            install(version, packages, folder, failed)
    if failed.exists():
        pytest.skip(f"{' and '.join(packages)} can't be installed for {version}: {failed.read_text()}")
    return folder


def install(version, packages, folder, failed):
    """Any interpreter's pip can install wheels for another version."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    message = "no pip found"
    for pip in (sys.executable, *(python.path for python in INTERPRETERS)):
        if subprocess.run([pip, "-m", "pip", "--version"], capture_output=True).returncode:
            continue
        result = subprocess.run([pip, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target", partial,
                                 "--python-version", version, "--implementation", "cp", "--only-binary=:all:", *packages],
                                capture_output=True, text=True, timeout=300)
        if result.returncode == 0:
            partial.rename(folder)
            return
        message = (result.stderr.strip().splitlines() or ["pip failed"])[-1]
        break
    failed.write_text(message)
