"""Tags: what the program is doing, told to the recorder. Documented in docs/tags.md.

A tag's place in the recorder's table of stacks, its node, is kept in a context variable, so that each asyncio task and whatever else
carries a context has its own. The recorder sets the thread's tag to that of a context for as long as Context.run runs in it.
"""

import contextvars
import functools
import inspect

from ._loops import follow_loops
from ._recorder import recorder_functions

__all__ = ["tag"]

# (node, what it was before): leaving a tag needs nothing but this, so that one `tag` can be entered by many tasks at once.
_current = contextvars.ContextVar("heapline_tag", default=(0, None))
_find = _get = _set = None
_looked = _is_settled = False


def _is_recorded():
    global _looked, _find, _get, _set
    if not _looked:
        _looked = True
        functions = recorder_functions(_current)
        if functions:
            _find, _get, _set = functions
    return _set is not None


class tag:
    """What is allocated inside is reported under this name: `with heapline.tag("epoch 3"):`, or `@heapline.tag("parse")` before a
    function or a coroutine function. Tags nest; each thread and each asyncio task has its own. Without the recorder it does nothing.

    A name says a kind of work ("GET /users/{id}"), not a single piece of it: a process has at most 2048.
    """

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = str(name)

    def __enter__(self):
        global _is_settled
        if not _is_recorded():
            return self
        if not _is_settled:
            _is_settled = follow_loops(_current, _get, _set)
        outer = _current.get()
        node = _find(outer[0], self.name)
        _current.set((node, outer))
        _set(node)
        return self

    def __exit__(self, *exception):
        if _set is None:
            return
        outer = _current.get()[1]
        if outer is not None:
            _current.set(outer)
            _set(outer[0])

    async def __aenter__(self):
        return self.__enter__()

    async def __aexit__(self, *exception):
        self.__exit__()

    def __call__(self, function):
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError("heapline.tag can't decorate a generator, whose caller runs between its steps: use it inside, between yields")
        if not _is_recorded():
            return function
        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def tagged(*arguments, **named):
                with self:
                    return await function(*arguments, **named)
        else:
            @functools.wraps(function)
            def tagged(*arguments, **named):
                with self:
                    return function(*arguments, **named)
        return tagged

    def __repr__(self):
        return f"heapline.tag({self.name!r})"
