/* The native stack of the calling thread as a stack id: the frames from the function that called the hook outward.
 *
 * Follows call frame information (cfi.h) through code without frame pointers, signal frames included. A frame that can't be stepped over
 * ends the stack: it is then marked as cut. Memory is read only where it is sure to be readable: the thread's own stack directly, others
 * (signal stacks, coroutines) after the kernel was asked.
 * With busy set, to the frame of the hook; memory straight from the kernel; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_UNWIND_H
#define HEAPLINE_CAPTURE_NATIVE_UNWIND_H

#include <stdint.h>

#include "compiler.h"
#include "python_stack.h"
#include "thread_state.h"

/* The innermost node. `caller`: the return address to credit; frames further in than it (operator new, for one) are left out. `segments`: of
 * the thread's Python stack as it is now; each stands in the place of the native frame that its address lies in. Where that can't be had: the
 * caller alone. */
uint32_t native_unwind(struct thread_state *thread, const void *caller, const struct python_segments *segments);

/* The same of a thread that runs no Python code: without segments. */
uint32_t native_unwind_plain(struct thread_state *thread, const void *caller);
INTERNAL const struct python_segments native_unwind_no_segments;

#ifdef HEAPLINE_STACK_SELF_CHECK
/* Every capture is compared with a walk that believes nothing: how many there were, how many differed. */
INTERNAL _Atomic uint64_t native_unwind_checks, native_unwind_differences;
#endif

#endif
