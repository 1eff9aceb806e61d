/* A script for a running CPython: its main thread runs it between two of its own instructions, by the interpreter's remote execution (PEP 768).
 *
 * The interpreter says where it looks for such a request (_Py_DebugOffsets, at the start of _PyRuntime); we write it there, through /proc/PID/mem,
 * and can take it back. No thread is stopped. CPython 3.14 and 3.15, wherever they run. Allocates; prints nothing. */
#ifndef HEAPLINE_INJECT_PYTHON_SCRIPT_H
#define HEAPLINE_INJECT_PYTHON_SCRIPT_H

#include <stdint.h>
#include <sys/types.h>

/* The interpreter's own names for these: eval_breaker, debugger_pending_call, debugger_script_path. Addresses in the process. */
struct python_script_place {
    int memory_file; /* /proc/PID/mem; -1: there is no such place */
    uint64_t breaker, pending, path;
    uint64_t path_bytes; /* what the path may take, its end included */
};

/* Returns 0, and python_script_close must follow; or -1: no CPython of these versions, it doesn't allow it (-X disable-remote-debug …), it is starting or
 * ending, or may not be looked at. */
int python_script_open(pid_t pid, struct python_script_place *ret_place);
void python_script_close(struct python_script_place *place);

/* Ask it to run this file, which is read then. Returns 0, or -1: somebody else's request waits there, the path is too long, or the process has ended. */
int python_script_put(const struct python_script_place *place, const char *path);
/* Never mind. It may have begun already: the file must be there a little longer, and do no harm. */
void python_script_take_back(const struct python_script_place *place);

#endif
