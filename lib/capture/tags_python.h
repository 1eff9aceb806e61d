/* The Python side of tags: functions for the package `heapline`, and contexts (PEP 567) that bring their own tag along.
 *
 * asyncio runs each step of a task by Context.run; so do executors of asyncio and anyio, and whoever else carries context variables around.
 * The package keeps the tag in a context variable, and the first to ask for our functions has Context.run's C function replaced by one
 * that sets the thread's tag to the context's for as long as it runs. Called by the package only, with the GIL; may create objects. */
#ifndef HEAPLINE_CAPTURE_TAGS_PYTHON_H
#define HEAPLINE_CAPTURE_TAGS_PYTHON_H

/* `variable`: the package's ContextVar, whose values are tuples that begin with a tag's node. Returns a new tuple of functions,
 * find(outer, name) -> node, get() -> node and set(node); NULL without an exception where this interpreter can't have them. */
void *tags_python_functions(void *variable);

#endif
