/* The Python stack of a thread as a stack id: the frames are read raw, the ids come from code_table.c and stack_table.c.
 *
 * Vocabulary
 *   walk     what is kept of a thread's last stack: its frames from root to top, each with the key that tells whether it has moved
 *   key      identifies a frame's code object and instruction, as long as no known code object dies
 *   level    a frame's place in the walk, 0 the outermost
 *
 * Only a thread's own frames are ever read, by itself. Never from a deallocation: 3.11 and 3.12 free frames that are still linked.
 * With busy set; memory straight from the kernel; keeps errno. */
#ifndef HEAPLINE_CAPTURE_PYTHON_STACK_H
#define HEAPLINE_CAPTURE_PYTHON_STACK_H

#include <stdint.h>

#include "compiler.h"
#include "python_layout.h"
#include "thread_state.h"

/* Deeper stacks are cut: their innermost frames are kept, above a root that says so. */
#define PYTHON_STACK_MAX_DEPTH (1u << 17)

/* The stack of a thread state that belongs to this thread; 0: it runs no Python code. NULL while Python stacks are off; read it once. */
typedef uint32_t (*python_stack_function)(struct thread_state *thread, const void *state);
INTERNAL python_stack_function python_stack_capture;

/* Begin to read stacks by this layout (index: in python_layouts, or PYTHON_LAYOUT_OTHER). The first stack is checked before it is believed;
 * when it doesn't fit, stacks are switched off and the session says so. */
void python_stack_start(const struct python_layout *layout, unsigned index);

/* Of the stack that was captured last: the innermost frame that the interpreter's loop keeps for itself (3.12 and later); 0: none. Looks at
 * what has changed since it was asked last. */
uint64_t python_stack_entry_frame(const struct thread_state *thread);

/* The layout in use; valid while python_stack_capture is not NULL. */
INTERNAL struct python_layout python_stack_layout;

/* Does this thread state belong to the thread with this pthread_self()? */
HOT_INLINE int python_stack_is_own(const void *state, uint64_t thread_id)
{
    return python_read_word((uintptr_t)state, python_stack_layout.state_thread_id) == thread_id;
}

#ifdef HEAPLINE_STACK_SELF_CHECK
/* Every capture is compared with a walk that believes nothing: how many there were, how many differed. */
INTERNAL _Atomic uint64_t python_stack_checks, python_stack_differences;
#endif

#endif
