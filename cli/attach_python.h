/* Has a running CPython, 3.14 or later, call a function of the recorder itself, between two of its own instructions: by the interpreter's remote
 * execution (python_script.h). Its main thread must come to run Python code; it imports _ctypes there, and leaves it imported. */
#ifndef HEAPLINE_CLI_ATTACH_PYTHON_H
#define HEAPLINE_CLI_ATTACH_PYTHON_H

#include <stddef.h>
#include <sys/types.h>

enum attach_python_status {
    ATTACH_PYTHON_CALLED,
    ATTACH_PYTHON_NOT,     /* that is no such interpreter, it doesn't allow it, or did not come by in a second: nothing was done, nor will it be */
    ATTACH_PYTHON_AT_WORK, /* it has begun, and not finished within the time that a call may take */
};

/* `int function(const void *argument)`, whose result is one digit, with a copy of these bytes (NULL: without). ret_result: of ATTACH_PYTHON_CALLED. */
enum attach_python_status attach_by_python(pid_t pid, const char *library, const char *function, const void *argument, size_t argument_bytes,
                                           int *ret_result);

#endif
