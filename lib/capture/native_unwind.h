/* The native stack of the calling thread as a stack id: the frames from the function that called the hook outward.
 *
 * Follows call frame information (cfi.h) through code without frame pointers, signal frames included. A frame that can't be stepped over
 * ends the stack: it is then marked as cut. Memory is read only where it is sure to be readable: the thread's own stack directly, others
 * (signal stacks, coroutines) after the kernel was asked.
 * Budget: 11 ns at 10 frames, 25 at 30, 44 at 60, when a few innermost frames have changed since the thread's last event.
 * With busy set; memory straight from the kernel; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_UNWIND_H
#define HEAPLINE_CAPTURE_NATIVE_UNWIND_H

#include <stdint.h>

#include "thread_state.h"

/* Deeper stacks are cut: the innermost frames are kept. */
#define NATIVE_STACK_MAX_DEPTH (1u << 16)

/* Put the native frames on top of the stack `base` and return the innermost node. `boundary`: an address in the frame of the interpreter's loop
 * that runs the base's innermost Python frame: that frame and all outside of it are left out; 0: take all frames up to the thread's
 * first. 0 when there is no frame or no memory. */
uint32_t native_unwind(struct thread_state *thread, uint32_t base, uint64_t boundary);

#ifdef HEAPLINE_STACK_SELF_CHECK
/* Every capture is compared with a walk that believes nothing: how many there were, how many differed. */
extern _Atomic uint64_t native_unwind_checks, native_unwind_differences;
#endif

#endif
