"""The recorder in this process, if there is one: libheapline.so was preloaded, and shows `heapline_recorder` (heapline/heapline.h)."""

import sys

VERSION = 1


def is_loaded():
    """Whether libheapline.so is in this process."""
    if not sys.platform.startswith("linux"):
        return False
    with open("/proc/self/maps", "rb") as maps:
        return any(line.rstrip().endswith(b"/libheapline.so") for line in maps)


def _recorder():
    """What the recorder shows of itself, or None."""
    if not is_loaded():
        return None
    try:
        import ctypes
    except ImportError:
        return None

    class Recorder(ctypes.Structure):
        _fields_ = [("version", ctypes.c_uint32), ("bytes", ctypes.c_uint32), ("find_tag", ctypes.c_void_p), ("set_tag", ctypes.c_void_p),
                    ("get_tag", ctypes.c_void_p), ("is_recording", ctypes.c_void_p),
                    ("python_functions", ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)),
                    ("set_recording", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int))]

    try:
        recorder = Recorder.in_dll(ctypes.PyDLL(None), "heapline_recorder")
    except ValueError:  # no such symbol
        return None
    return recorder if recorder.version == VERSION else None


def recorder_functions(variable):
    """(find, get, set) for tags that are kept in this ContextVar; None where nothing records."""
    recorder = _recorder()
    try:
        return recorder.python_functions(variable) if recorder else None
    except ValueError:  # NULL instead of an object
        return None


def set_recording(wanted):
    """Whether this process is recorded from now on, or is not, as wanted; False where there is no recorder, or an older one."""
    recorder = _recorder()
    return bool(recorder and recorder.bytes > type(recorder).set_recording.offset and recorder.set_recording(int(wanted)))
