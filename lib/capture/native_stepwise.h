/* Stacks frame by frame, believing nothing and keeping nothing: on other stacks than the thread's own, or across to one, or over frames that
 * need libunwind; and on processors for which there are no rows.
 *
 * With busy set; memory straight from the kernel; keeps errno. A microsecond a frame, more where libunwind is asked. */
#ifndef HEAPLINE_CAPTURE_NATIVE_STEPWISE_H
#define HEAPLINE_CAPTURE_NATIVE_STEPWISE_H

#include "native_unwinder.h"

/* Frames between the caller to credit and the hook: operator new[], operator new. */
#define NATIVE_MAX_SKIPPED_FRAMES 4

/* The stack from this place on, with the unwinder's Python segments. 0: no node. */
COLD uint32_t native_stepwise_capture(struct native_unwinder *unwinder, struct native_place place);

/* The same from here, but for what is further in than `caller`, by libunwind alone. 0: there is none, or no node. */
COLD uint32_t native_stepwise_capture_without_rows(struct native_unwinder *unwinder, const struct thread_state *thread, uint64_t caller);

#endif
