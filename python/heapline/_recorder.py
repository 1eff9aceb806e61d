"""The recorder in this process, if there is one: libheapline.so was preloaded, and shows `heapline_recorder` (heapline/heapline.h)."""

import sys

VERSION = 1


def is_loaded():
    """Whether libheapline.so is in this process."""
    if not sys.platform.startswith("linux"):
        return False
    with open("/proc/self/maps", "rb") as maps:
        return any(line.rstrip().endswith(b"/libheapline.so") for line in maps)


def recorder_functions(variable):
    """(find, get, set) for tags that are kept in this ContextVar; None where nothing records."""
    if not is_loaded():
        return None
    try:
        import ctypes
    except ImportError:
        return None

    class Recorder(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("bytes", ctypes.c_uint32), ("find_tag", ctypes.c_void_p), ("set_tag", ctypes.c_void_p),
                    ("get_tag", ctypes.c_void_p), ("is_recording", ctypes.c_void_p),
                    ("python_functions", ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object))]

    try:
        recorder = Recorder.in_dll(ctypes.PyDLL(None), "heapline_recorder")
        return recorder.python_functions(variable) if recorder.version == VERSION else None
    except ValueError:  # no such symbol, or NULL instead of an object
        return None
