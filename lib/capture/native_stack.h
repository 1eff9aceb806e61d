/* Native frames as a stack id. So far the one frame that called the allocator: where full native stacks are wanted (SESSION_NATIVE), they
 * are walked here. What a thread has seen is kept in its struct native_walk: a return address is looked up once per set of modules.
 * With busy set; memory straight from the kernel; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_STACK_H
#define HEAPLINE_CAPTURE_NATIVE_STACK_H

#include <stdint.h>

#include "thread_state.h"

/* The stack that consists of this caller alone; 0: it can't be defined. */
uint32_t native_stack_of_caller(struct thread_state *thread, const void *return_address);

/* The same callers are other stacks from now on: on top of another root. */
void native_stack_forget(struct native_walk *walk);

#endif
