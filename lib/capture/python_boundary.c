/* Up to 3.12 the evaluation loop keeps a _PyCFrame on its own native stack, and the thread state points to the innermost one. From 3.13 on it
 * keeps an entry frame there, an _PyInterpreterFrame that belongs to the interpreter: the next such frame outward of the current one. */
#include "python_boundary.h"

#include "python_layout.h"
#include "python_stack.h"

#define VERSION_3_10 0x030a
#define STATE_CFRAME_3_10 48 /* PyThreadState.cframe, LP64 */
/* A loop inlines calls from Python to Python: so many frames at most are between its entry frame and its innermost one. */
#define MAX_INLINED_FRAMES (1 << 16)

static uint64_t entry_frame(uintptr_t state, const struct python_layout *layout)
{
    uint64_t frame = python_read_word(state, layout->state_frame);
    for (int depth = 0; frame && depth < MAX_INLINED_FRAMES; depth++) {
        if (*(const uint8_t *)(uintptr_t)(frame + (uint64_t)layout->frame_owner) >= PYTHON_OWNER_INTERPRETER)
            return frame;
        frame = python_read_word(frame, layout->frame_previous);
    }
    return 0;
}

uint64_t python_boundary(const void *state)
{
    const struct python_layout *layout = &python_stack_layout;
    if (layout->cframe_frame != PYTHON_NONE)
        return python_read_word((uintptr_t)state, layout->state_frame);
    if (layout->version == VERSION_3_10)
        return python_read_word((uintptr_t)state, STATE_CFRAME_3_10);
    return layout->frame_owner == PYTHON_NONE ? 0 : entry_frame((uintptr_t)state, layout);
}
