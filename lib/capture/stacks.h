/* From "this thread allocates now" to a stack id: the innermost node of a tree of frames that the whole process shares.
 *
 * Consumes the interpreter's frames (raw reads) or a return address; produces ids, and the definitions (code objects, nodes, modules) that
 * explain them, in the session's definition ring. Called with current_thread->busy set. Never calls malloc, a libc function that may, or a
 * CPython function that can create an object. Keeps errno. 0 is the empty stack. */
#ifndef HEAPLINE_CAPTURE_STACKS_H
#define HEAPLINE_CAPTURE_STACKS_H

#include <stdint.h>

#include "native_check.h"
#include "native_unwind.h"
#include "python_api.h"
#include "python_stack.h"
#include "recorder.h"
#include "thread_state.h"

/* From 3.12 on the current state is kept per thread; before, it is that of whichever thread holds the GIL. */
#define STACKS_VERSION_OF_THREAD_LOCAL_STATE 0x030c

/* The GIL is held by contract, so the current state is this thread's; where it is the GIL holder's, an extension may have broken that. */
HOT_INLINE const void *stacks_state_under_gil(const struct python_layout *layout, const struct thread_state *thread)
{
    const void *state = python_api.current_state();
    if (layout->version >= STACKS_VERSION_OF_THREAD_LOCAL_STATE)
        return state;
    return likely(state && python_layout_owner(layout, state) == thread->pthread_id) ? state : NULL;
}

/* SESSION_NATIVE */
HOT_INLINE int stacks_are_native(void)
{
    return unlikely(recorder_session->flags & SESSION_NATIVE);
}

/* Native frames are wanted, or there is no state. */
uint32_t stack_of_object_hook_rare(struct thread_state *thread, const void *state, const void *return_address);

/* In CPython's MEM and OBJ hooks: the GIL is held by contract. Falls back to the return address where there is no Python frame. Inlined: no
 * other stack is asked for so often. */
HOT_INLINE uint32_t stack_of_object_hook(struct thread_state *thread, const void *return_address)
{
    python_stack_function capture = python_stack_capture;
    const void *state = likely(capture != NULL) ? stacks_state_under_gil(&python_stack_layout, thread) : NULL;
    uint32_t stack = likely(state && !stacks_are_native()) ? capture(thread, state) : 0;
    return likely(stack) ? stack : stack_of_object_hook_rare(thread, state, return_address);
}

/* Where there may be Python frames, or native ones aren't wanted. */
uint32_t stack_of_native_hook_rare(struct thread_state *thread, const void *return_address);

/* In malloc, mmap, memcpy and their kin: any thread, GIL held or not. The Python stack where this thread has one, else the return address.
 * Inlined for programs that have no Python frames: theirs are the shortest ways to a stack. */
HOT_INLINE uint32_t stack_of_native_hook(struct thread_state *thread, const void *return_address)
{
    if (python_stack_capture || !stacks_are_native())
        return stack_of_native_hook_rare(thread, return_address);
    uint32_t stack = native_unwind_plain(thread, return_address);
    native_check(thread, stack, &native_unwind_no_segments);
    return stack;
}

#endif
