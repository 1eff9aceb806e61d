/* Has a running CPython, 3.14 or later, call a function of the recorder itself: by the interpreter's remote execution (PEP 768), between two of its
 * instructions. For when no thread of the process could be interrupted. It imports ctypes there; its main thread must come to run Python code. */
#ifndef HEAPLINE_CLI_ATTACH_PYTHON_H
#define HEAPLINE_CLI_ATTACH_PYTHON_H

#include <stddef.h>
#include <sys/types.h>

/* Returns 0: it was called; -1: that is no such interpreter, it does not allow it, or did not come to it in some seconds. argument: NULL for none. */
int attach_by_python(pid_t pid, const char *library, const char *function, const void *argument, size_t argument_bytes);

#endif
