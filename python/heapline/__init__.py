"""heapline: memory profiler for Python and native programs on Linux.

The profiler is the command `heapline` (also `python -m heapline`); a program needs nothing from here to be recorded.
This package tells a program where the command and the recorder lie, and whether it is being recorded; with `tag` the program tells
the recorder what it is doing, with `start` and `stop` when.
"""

import os
import pathlib
from importlib import metadata

from ._recorder import is_loaded, set_recording
from ._tags import tag

__all__ = ["__version__", "command_path", "is_recording", "library_path", "start", "stop", "tag"]

__version__ = "0.1.0"


def _installed_file(name):
    """The path that this distribution installed a file of this name to, or None (not installed by pip)."""
    try:
        files = metadata.files("heapline") or []
    except metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == name and not file.match("*.py"):
            path = pathlib.Path(file.locate()).resolve()
            if path.is_file():
                return path
    return None


def _search(name, folders):
    """A file that pip did not install: in one of these folders below the prefix that this package lies in."""
    for prefix in pathlib.Path(__file__).resolve().parents:
        for folder in folders:
            for path in sorted(prefix.glob(f"{folder}/{name}")):
                if path.is_file():
                    return path
    return None


def command_path():
    """Path of the `heapline` command that belongs to this package; FileNotFoundError where there is none."""
    path = _installed_file("heapline") or _search("heapline", ("bin", "build/cli"))
    if path is None or not os.access(path, os.X_OK):
        raise FileNotFoundError("the heapline command is not installed with this package")
    return str(path)


def library_path():
    """Path of libheapline.so, for LD_PRELOAD; FileNotFoundError where there is none."""
    path = _installed_file("libheapline.so") or _search("libheapline.so", ("lib*/heapline", "lib/*/heapline", "build/lib/capture"))
    if path is None:
        raise FileNotFoundError("libheapline.so is not installed with this package")
    return str(path)


def is_recording():
    """Whether this process runs under heapline's recorder."""
    return is_loaded()


def start():
    """Record this process from now on, as `heapline start` does: for programs that were started paused.

    What was allocated before is not known. Returns whether it is recorded: False where there is no recorder.
    """
    return set_recording(True)


def stop():
    """Record this process no more, until the next start. Returns whether there is a recorder that has stopped."""
    return set_recording(False)
