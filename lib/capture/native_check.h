/* The self-check of native stacks: one in N is compared with a full walk by libunwind, which knows nothing of what we keep:
 * all native frames, and that each activation of the interpreter's loop has the Python frames that it runs in its place.
 *
 * Asked for with `--check-native N`; a check is a whole walk. libunwind is loaded then, apart from the program's own symbols.
 * With busy set; keeps errno. What is counted, in the session: checks and differences. */
#ifndef HEAPLINE_CAPTURE_NATIVE_CHECK_H
#define HEAPLINE_CAPTURE_NATIVE_CHECK_H

#include <stdint.h>

#include "compiler.h"
#include "python_stack.h"
#include "thread_state.h"

/* 0: no checks. */
INTERNAL uint32_t native_check_interval;

/* From the constructor: loads libunwind, with the true dlopen and dlsym, if the session wants checks. Without it none are made, and the
 * report says 0. */
COLD void native_check_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *));

/* The stack that was captured just now, in this hook, of these Python segments. */
COLD void native_check_stack(struct thread_state *thread, uint32_t stack, const struct python_segments *segments);

/* Is it this stack's turn? A thread's first one is checked, too. */
HOT_INLINE void native_check(struct thread_state *thread, uint32_t stack, const struct python_segments *segments)
{
    if (likely(!native_check_interval))
        return;
    if (thread->stacks_until_check)
        thread->stacks_until_check--;
    else
        native_check_stack(thread, stack, segments);
}

#endif
