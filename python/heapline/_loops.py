"""Event loops that enter a task's context without Context.run, where the recorder does not see it: uvloop."""

import functools
import sys

_METHODS = {"call_soon": 0, "call_soon_threadsafe": 0, "call_later": 1, "call_at": 1}  # how many arguments stand before the callback
_followed = False


def follow_loops(current, get, set):
    """Have uvloop's callbacks run with the tag of their context, which is what `current` says there. Returns whether that is settled."""
    global _followed
    if _followed or "uvloop" not in sys.modules:
        return _followed
    loop_type = getattr(sys.modules["uvloop"], "Loop", None)
    if loop_type is None:
        return False  # half imported
    _followed = True

    def step(callback, *arguments):
        outer = get()
        set(current.get()[0])
        try:
            return callback(*arguments)
        finally:
            set(outer)

    def tagged(method, before):
        @functools.wraps(method)
        def call(self, *arguments, **named):
            return method(self, *arguments[:before], step, *arguments[before:], **named)
        return call

    for name, before in _METHODS.items():
        setattr(loop_type, name, tagged(getattr(loop_type, name), before))
    return True
