/* Consumes the thread and a return address, produces a stack id: the thread's Python stack where it has one, else the native frame that
 * called the allocator. The guards here decide whose PyThreadState may be read. */
#include "stacks.h"

#include "native_check.h"
#include "native_stack.h"
#include "native_unwind.h"
#include "python_api.h"
#include "python_stack.h"
#include "recorder.h"

/* The GIL may be held by another thread. While the interpreter is finalizing it frees the states of other threads: only the one that runs it
 * has a state that is sure to be alive, the current one. A thread that left a sub-interpreter's GIL shows the frames it has outside of it. */
HOT_INLINE const void *state_without_gil(void)
{
    const void *current = python_api.current_state();
    if (current && python_api.version >= STACKS_VERSION_OF_THREAD_LOCAL_STATE)
        return current;
    const void *state = python_api.thread_state();
    return unlikely(state && state != current && python_api.is_finalizing()) ? NULL : state;
}

HOT_INLINE uint32_t unwind(struct thread_state *thread, const void *return_address, const struct python_segments *segments)
{
    uint32_t stack = native_unwind(thread, return_address, segments);
    native_check(thread, stack, segments);
    return stack;
}

/* With SESSION_NATIVE: the native stack, the interpreter's loops in it replaced by the Python frames that they run. */
OUTLINED uint32_t with_native_frames(struct thread_state *thread, uint32_t python, const void *state, const void *return_address)
{
    return python_stack_has_segments ? unwind(thread, return_address, python_stack_segments(thread, state)) : python;
}

/* A thread that runs no Python code. */
HOT_INLINE uint32_t native_stack(struct thread_state *thread, const void *return_address)
{
    return stacks_are_native() ? unwind(thread, return_address, &native_unwind_no_segments) : native_stack_of_caller(thread, return_address);
}

HOT_INLINE uint32_t stack_of(struct thread_state *thread, python_stack_function capture, const void *state, const void *return_address)
{
    uint32_t stack = likely(state != NULL) ? capture(thread, state) : 0;
    if (unlikely(!stack))
        return native_stack(thread, return_address);
    return stacks_are_native() ? with_native_frames(thread, stack, state, return_address) : stack;
}

uint32_t stack_of_object_hook_rare(struct thread_state *thread, const void *state, const void *return_address)
{
    return stack_of(thread, python_stack_capture, state, return_address);
}

uint32_t stack_of_native_hook_rare(struct thread_state *thread, const void *return_address)
{
    python_stack_function capture = python_stack_capture;
    if (!capture)
        return native_stack(thread, return_address);
    return stack_of(thread, capture, state_without_gil(), return_address);
}
