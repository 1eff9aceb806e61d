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

/* The stack of a thread state that belongs to this thread; 0: it runs no Python code. NULL while Python stacks are off; read it once.
 * Where the interpreter tells where its loops run (python_stack_has_segments), not a stack id but 1: ask python_stack_segments. */
typedef uint32_t (*python_stack_function)(struct thread_state *thread, const void *state);
INTERNAL python_stack_function python_stack_capture;

/* Begin to read stacks by this layout (index: in python_layouts, or PYTHON_LAYOUT_OTHER). The first stack is checked before it is believed;
 * when it doesn't fit, stacks are switched off and the session says so. */
void python_stack_start(const struct python_layout *layout, unsigned index);

/* With SESSION_NATIVE: the frames that one activation of the interpreter's loop runs, the outermost of which it was called for. */
struct python_segment {
    uint64_t address; /* within the native frame of that activation; UINT64_MAX: unknown, further out than all native frames;
                         0: it isn't told, but each activation of the loop (python_loop.h) has one, in their order (up to 3.9) */
    uint32_t first;   /* level of its outermost frame */
    uint32_t node;    /* its frames alone, as a stack; 0: none of them is a program's */
};

struct python_segments {
    const struct python_segment *list; /* outermost first */
    const uint32_t *nodes;             /* by level: the frames of its segment up to there, as a stack */
    uint32_t count, depth;             /* of segments, of levels */
    uint32_t steady;                   /* so many outer segments are what they were in the version before */
    uint64_t version;                  /* raised by every change; 0: of no Python stack */
};

/* Can it be found where on the native stack Python frames run? */
extern int python_stack_has_segments;

/* Of the stack that was captured last, of this state. Looks at what has changed since it was asked last. */
const struct python_segments *python_stack_segments(struct thread_state *thread, const void *state);

/* Are they told from one another by their order alone? */
HOT_INLINE int python_segments_are_counted(const struct python_segments *segments)
{
    return segments->count && !segments->list[0].address;
}

/* The levels of segment i end here. */
HOT_INLINE uint32_t python_segment_end(const struct python_segments *segments, uint32_t i)
{
    return i + 1 < segments->count ? segments->list[i + 1].first : segments->depth;
}

/* The layout in use, and its index; valid while python_stack_capture is not NULL. */
INTERNAL struct python_layout python_stack_layout;
INTERNAL unsigned python_stack_layout_index;

#ifdef HEAPLINE_STACK_SELF_CHECK
/* Every capture is compared with a walk that believes nothing: how many there were, how many differed. */
INTERNAL _Atomic uint64_t python_stack_checks, python_stack_differences;
#endif

#endif
