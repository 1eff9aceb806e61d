/* Which of the walks (python_walk.h) reads the stacks of this interpreter, and what native stacks ask of one: its segments.
 *
 * With native frames, Python frames are kept by segment (python_stack.h): a chain of nodes begins at each entry frame, so that an inner
 * segment's nodes don't depend on what is further out. Whether a frame is an entry frame is part of its key where the frame says so. */
#include "python_stack.h"

#include "python_api.h"
#include "python_loop.h"
#include "python_walk.h"
#include "recorder.h"

#define STATE_CFRAME_3_10 48 /* LP64 */
#define CFRAME_PREVIOUS_3_10 8
#define CFRAME_PREVIOUS_3_11 16
python_stack_function python_stack_capture;

struct python_layout python_stack_layout;
unsigned python_stack_layout_index = PYTHON_LAYOUT_OTHER;

int python_stack_has_segments;

/* ---- segments ---- */

/* Up to 3.11 each activation of the loop keeps a _PyCFrame on its native stack, and the thread state points to the innermost one. Where a
 * segment's isn't the one that it was: puts it right, and lowers *steady. */
HOT_INLINE void find_cframes(struct python_walk *walk, const void *state, uint32_t count, uint32_t *steady)
{
    const struct python_layout *layout = &python_stack_layout;
    int is_3_10 = layout->version == VERSION_3_10;
    int previous = is_3_10 ? CFRAME_PREVIOUS_3_10 : CFRAME_PREVIOUS_3_11;
    uint64_t found = python_read_word((uintptr_t)state, is_3_10 ? STATE_CFRAME_3_10 : layout->state_frame);
    for (uint32_t i = count; i-- > 0;) {
        uint64_t cframe = walk->list[i].address;
        if (unlikely(cframe != found)) {
            walk->list[i].address = cframe = found ? found : UINT64_MAX;
            *steady = *steady < i ? *steady : i;
        }
        /* As in compare: the loads don't wait for one another. */
        __asm__("" : "+r"(cframe));
        found = found ? python_read_word(cframe, previous) : 0;
    }
}

/* Levels from walk->steady on have changed: the segments that they belong to. Returns how many of the outer ones have not. */
OUTLINED uint32_t find_segments(const struct python_layout *layout, struct python_walk *walk)
{
    uint32_t at = walk->steady < walk->depth ? walk->steady : walk->depth, count = at ? walk->segment_ends[at - 1] : 0;
    uint32_t steady = count ? count - 1 : 0, old_node = count ? walk->list[steady].node : 0;
    if (count)
        walk->list[steady].node = walk->nodes[at - 1];
    for (; at < walk->depth; at++) {
        uint64_t frame = walk_frame(walk, at);
        int entry = python_frame_is_entry(layout, frame);
        if (!at || entry) {
            walk->list[count].first = at;
            if (layout->version >= VERSION_3_12 || !entry)
                walk->list[count].address = entry ? frame : UINT64_MAX;
            count++;
        }
        walk->list[count - 1].node = walk->nodes[at];
        walk->segment_ends[at] = count;
    }
    walk->segments.count = count;
    return steady < count && old_node && walk->list[steady].node == old_node ? steady + 1 : steady;
}

const struct python_segments *python_stack_segments(struct thread_state *thread, const void *state)
{
    const struct python_layout *layout = &python_stack_layout;
    struct python_walk *walk = thread->python;
    struct python_segments *segments = &walk->segments;
    uint32_t before = segments->count, steady = before;
    if (walk->steady != walk->depth || segments->depth != walk->depth)
        steady = find_segments(layout, walk);
    if (layout->version < VERSION_3_12 && layout->version >= VERSION_3_10)
        find_cframes(walk, state, segments->count, &steady);
    segments->version += steady < before || steady < segments->count || segments->depth != walk->depth;
    segments->steady = steady;
    segments->depth = walk->steady = walk->depth;
    segments->list = walk->list;
    segments->nodes = walk->nodes;
    return segments;
}
#ifdef HEAPLINE_STACK_SELF_CHECK

_Atomic uint64_t python_stack_checks, python_stack_differences;

/* The frames from `top` on, innermost first, in walk->fresh; 0: more than `limit`. */
static uint32_t frames_of(const struct python_layout *layout, struct python_walk *walk, uint64_t top, uint32_t limit)
{
    uint32_t count = 0;
    uint64_t frame = top;
    for (; frame && count < limit; frame = python_frame_caller(layout, frame))
        walk->fresh[count++] = frame;
    return frame && !walk->is_cut ? 0 : count;
}

/* The node of a stack that ends with this frame, whose caller's is `node`. */
static uint32_t node_of(const struct python_layout *layout, uint64_t frame, uint32_t node)
{
    static struct python_walk scratch; /* nothing of it is looked at */
    return python_frame_is_shim(layout, frame) ? node : python_walk_resolve(layout, &scratch, frame, node);
}

static void count_check(int differs)
{
    atomic_fetch_add(&python_stack_checks, 1);
    atomic_fetch_add(&python_stack_differences, differs);
}

/* Is each level's node what its frame says? */
void python_walk_check(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented)
{
    uint32_t node = walk->nodes[-1], differences = frames_of(layout, walk, top, walk->depth) != walk->depth;
    for (uint32_t at = 0; at < walk->depth && !differences; at++) {
        uint64_t frame = walk->fresh[walk->depth - 1 - at];
        node = node_of(layout, frame, segmented && at && python_frame_is_entry(layout, frame) ? 0 : node);
        differences = node != walk->nodes[at];
    }
    count_check(differences);
}

void python_walk_check_node(const struct python_layout *layout, struct python_walk *walk, uint64_t top, uint32_t node)
{
    uint32_t found = (uint32_t)(walk->hashed_root >> 32);
    for (uint32_t at = frames_of(layout, walk, top, walk->capacity); at-- > 0;)
        found = node_of(layout, walk->fresh[at], found);
    count_check(found != node);
}

#endif

/* One function a layout: the offsets become constants. */
#define X(index, initializer)                                                                           \
    uint32_t python_walk_find_##index(struct thread_state *thread, const void *state)                   \
    {                                                                                                   \
        static const struct python_layout layout = initializer;                                         \
        return python_walk_find(&layout, thread, state);                                                \
    }                                                                                                   \
    static uint32_t capture_##index(struct thread_state *thread, const void *state)                     \
    {                                                                                                   \
        static const struct python_layout layout = initializer;                                         \
        const struct walk_found *found = python_walk_quick(&layout, thread, state);                     \
        uint32_t node = found ? found->node : python_walk_deep(&layout, thread, state);                 \
        return likely(node) ? node : python_walk_find_##index(thread, state);                           \
    }                                                                                                   \
    static uint32_t capture_segments_##index(struct thread_state *thread, const void *state)            \
    {                                                                                                   \
        static const struct python_layout layout = initializer;                                         \
        return python_walk_capture(&layout, thread, state, 1);                                          \
    }
PYTHON_LAYOUTS(X)
#undef X

static uint32_t capture_published(struct thread_state *thread, const void *state)
{
    return python_walk_capture(&python_stack_layout, thread, state, 0);
}

static uint32_t capture_segments_published(struct thread_state *thread, const void *state)
{
    return python_walk_capture(&python_stack_layout, thread, state, 1);
}

#define X(index, initializer) [index] = {capture_##index, capture_segments_##index},
static const python_stack_function captures[][2] = {
    PYTHON_LAYOUTS(X)
    [PYTHON_LAYOUT_OTHER] = {capture_published, capture_segments_published},
};
#undef X

/* ---- start ---- */

/* Stands in until the first frame is seen. */
static uint32_t check_then_capture(struct thread_state *thread, const void *state)
{
    if (!python_frame_top(&python_stack_layout, state))
        return 0;
    if (!python_layout_fits(&python_stack_layout, state, python_api.code_type)) {
        recorder_session->python_flags |= PYTHON_STACKS_OFF;
        python_stack_capture = NULL;
        return 0;
    }
    python_stack_capture = captures[python_stack_layout_index][python_stack_has_segments];
    return captures[python_stack_layout_index][python_stack_has_segments](thread, state);
}

void python_stack_start(const struct python_layout *layout, unsigned index)
{
    python_stack_layout = *layout;
    python_stack_layout_index = index;
    python_stack_has_segments = recorder_session->flags & SESSION_NATIVE && (layout->version >= VERSION_3_10 || python_loop[0].bytes);
    python_stack_capture = check_then_capture;
}
