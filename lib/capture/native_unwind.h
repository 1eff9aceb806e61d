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
#include "thread_state.h"

#define NATIVE_UNWIND_WHOLE UINT64_MAX

/* Put the native frames on top of the stack `base` and return the innermost node. `caller`: the return address to credit; frames further in
 * than it (operator new, for one) are left out. `boundary`: an address in the frame of the interpreter's loop that runs the base's innermost
 * Python frame: that frame and all outside of it are left out; NATIVE_UNWIND_WHOLE: take all frames up to the thread's first. Where
 * that can't be had: the base, or the caller alone. */
uint32_t native_unwind(struct thread_state *thread, const void *caller, uint32_t base, uint64_t boundary);

#ifdef HEAPLINE_STACK_SELF_CHECK
/* Every capture is compared with a walk that believes nothing: how many there were, how many differed. */
INTERNAL _Atomic uint64_t native_unwind_checks, native_unwind_differences;
#endif

#endif
