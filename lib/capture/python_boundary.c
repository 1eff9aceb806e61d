/* Up to 3.12 the evaluation loop keeps a _PyCFrame on its own native stack, and the thread state points to the innermost one. From 3.13 on it
 * keeps an entry frame there, an _PyInterpreterFrame that belongs to the interpreter: the next such frame outward of the current one. */
#include "python_boundary.h"

#include <stdatomic.h>

#include "python_layout.h"
#include "python_stack.h"

#define VERSION_3_10 0x030a
#define STATE_CFRAME_3_10 48 /* PyThreadState.cframe, LP64 */

#ifdef HEAPLINE_STACK_SELF_CHECK
static void self_check(uintptr_t state, const struct python_layout *layout, uint64_t found)
{
    uint64_t frame = python_read_word(state, layout->state_frame);
    while (frame && python_read_byte(frame, layout->frame_owner) < PYTHON_OWNER_INTERPRETER)
        frame = python_read_word(frame, layout->frame_previous);
    if (frame != found)
        atomic_fetch_add(&python_stack_differences, 1);
}
#endif

uint64_t python_boundary(const struct thread_state *thread, const void *state)
{
    const struct python_layout *layout = &python_stack_layout;
    if (layout->cframe_frame != PYTHON_NONE)
        return python_read_word((uintptr_t)state, layout->state_frame);
    if (layout->version == VERSION_3_10)
        return python_read_word((uintptr_t)state, STATE_CFRAME_3_10);
    if (layout->frame_owner == PYTHON_NONE)
        return 0;
    uint64_t frame = python_stack_entry_frame(thread);
#ifdef HEAPLINE_STACK_SELF_CHECK
    self_check((uintptr_t)state, layout, frame);
#endif
    return frame;
}
