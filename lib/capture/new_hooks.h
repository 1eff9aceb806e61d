/* Who called operator new: for the malloc hook, when a block serves C++. */
#ifndef HEAPLINE_CAPTURE_NEW_HOOKS_H
#define HEAPLINE_CAPTURE_NEW_HOOKS_H

#include "thread_state.h"

/* The address to credit, where thread->new_caller is set: the caller of operator new if this malloc was called by the C++ library. Uses up the
 * note. */
const void *new_hooks_caller(struct thread_state *thread, const void *return_address);

#endif
