/* Consumes interpreter frames, produces node ids.
 *
 * Most of a stack is what it was at the thread's last allocation. So: walk from the innermost frame to the first one that the kept walk
 * knows. From there take each caller's address from the walk and only compare it with what the frame says: the loads don't wait for one
 * another. Note the outermost level whose key has changed, and resolve anew from there. Every level is looked at down to the root, as
 * stopping at the first equal frame is wrong for 3 to 5 % of stacks: a frame below may have moved on.
 *
 * With native frames, Python frames are kept by segment (python_stack.h): a chain of nodes begins at each entry frame, so that an inner
 * segment's nodes don't depend on what is further out. Whether a frame is an entry frame is part of its key where the frame says so.
 *
 * A key is forgeable only by a code object that takes the place of a dead one; the code epoch tells. */
#include "python_stack.h"

#include <stdatomic.h>
#include <string.h>

#include "code_table.h"
#include "pages.h"
#include "python_api.h"
#include "recorder.h"
#include "stack_table.h"

#define VERSION_3_10 0x030a
#define VERSION_3_11 0x030b
#define VERSION_3_12 0x030c
#define FIRST_DEPTH 1024u
#define SLOT_BITS 9
#define RECENT_BITS 11
#define NOT_KNOWN UINT32_MAX
#define ALL_LINKED UINT32_MAX
#define NO_FRAME 1ull

struct level {
    uint64_t frame;
    uint64_t key;
};

struct python_walk {
    uint64_t code_epoch;   /* the walk is valid for; 0: for none */
    uint32_t tag;          /* of that epoch, for predictions */
    struct level *levels;  /* root to top; levels[-1].frame is no frame's address, so that comparing ends there */
    uint32_t *nodes;       /* of each level, the stack that ends with it; nodes[-1]: 0, or the cut */
    uint64_t *fresh;       /* frames met on the way from the top that aren't in the walk, innermost first */
    uint32_t depth, capacity;
    uint32_t unreadable;   /* a frame's code has no id: the walk must not be believed next time */
    uint32_t *segment_ends;       /* of each level, the segments that begin with it or further out */
    struct python_segment *list;
    struct python_segments segments;
    uint32_t steady;       /* levels below it have not changed since the segments were asked for */
    uint32_t slots[1 << SLOT_BITS]; /* hash of frame -> level */
    uint32_t recent[1 << RECENT_BITS]; /* of segments: hash of (caller's node, key) -> node */
};

python_stack_function python_stack_capture;

struct python_layout python_stack_layout;

int python_stack_has_segments;

/* ---- frames ---- */

HOT_INLINE uint64_t top_frame(const struct python_layout *layout, const void *state)
{
    uint64_t frame = python_read_word((uintptr_t)state, layout->state_frame);
    if (layout->cframe_frame != PYTHON_NONE && likely(frame))
        frame = python_read_word(frame, layout->cframe_frame);
    return frame;
}

HOT_INLINE uint64_t caller_of(const struct python_layout *layout, uint64_t frame)
{
    return python_read_word(frame, layout->frame_previous);
}

HOT_INLINE uint64_t code_of(const struct python_layout *layout, uint64_t frame)
{
    uint64_t code = python_read_word(frame, layout->frame_code);
    return layout->version >= 0x030e ? code & ~PYTHON_TAG_MASK : code;
}

/* From 3.11 on the instruction pointer alone tells code and place. Before, code objects are more than 128 bytes apart and addresses have
 * 47 bits: the sum is unique below 2^24 bytes of bytecode. */
HOT_INLINE uint64_t key_of(const struct python_layout *layout, uint64_t frame)
{
    if (layout->code_units != PYTHON_NONE)
        return python_read_word(frame, layout->frame_instruction);
    return (python_read_word(frame, layout->frame_code) << 17) + (uint64_t)(int64_t)python_read_int(frame, layout->frame_instruction);
}

/* 3.11 alone: the loop that runs this frame was called for it. */
HOT_INLINE int has_entry_mark(const struct python_layout *layout)
{
    return layout->version == VERSION_3_11;
}

#define FRAME_IS_ENTRY_3_11 68
#define STATE_CFRAME_3_10 48 /* LP64 */
#define CFRAME_PREVIOUS_3_10 8
#define CFRAME_PREVIOUS_3_11 16

/* The same, for stacks in segments. */
HOT_INLINE uint64_t segment_key_of(const struct python_layout *layout, uint64_t frame, int segmented)
{
    uint64_t key = key_of(layout, frame);
    return segmented && has_entry_mark(layout) ? key ^ (uint64_t)python_read_byte(frame, FRAME_IS_ENTRY_3_11) << 63 : key;
}

HOT_INLINE int32_t instruction_of(const struct python_layout *layout, uint64_t frame, uint64_t code)
{
    if (layout->code_units == PYTHON_NONE)
        return python_read_int(frame, layout->frame_instruction);
    int64_t bytes = (int64_t)(python_read_word(frame, layout->frame_instruction) - code - (uint64_t)layout->code_units);
    return (int32_t)(bytes >> 1);
}

/* The interpreter's own entry frames belong to no program; 3.12 and later. */
HOT_INLINE int is_shim(const struct python_layout *layout, uint64_t frame)
{
    return layout->version >= 0x030c && python_read_byte(frame, layout->frame_owner) >= PYTHON_OWNER_INTERPRETER;
}

/* Was the loop that runs this frame called for it? */
HOT_INLINE int is_entry(const struct python_layout *layout, uint64_t frame)
{
    if (layout->version >= VERSION_3_12)
        return is_shim(layout, frame);
    return has_entry_mark(layout) ? python_read_byte(frame, FRAME_IS_ENTRY_3_11) : 1;
}

/* The node of this frame, called from `parent`, from what the frame says. */
OUTLINED uint32_t resolve(const struct python_layout *layout, struct python_walk *walk, uint64_t frame, uint32_t parent)
{
    uint64_t code = code_of(layout, frame);
    uint32_t code_id = code_table_find(layout, code);
    if (unlikely(!code_id || code_id == CODE_HIDDEN)) {
        walk->unreadable |= !code_id;
        return parent;
    }
    return stack_table_python(parent, code_id, instruction_of(layout, frame, code));
}

/* ---- the walk ---- */

/* Entry -1 is there as well. NULL: no memory; `entries` is as it was. */
COLD static void *resize_entries(void *entries, size_t entry_bytes, size_t old_count, size_t count)
{
    char *pages = entries ? (char *)entries - entry_bytes : NULL;
    pages = pages ? pages_remap(pages, (old_count + 1) * entry_bytes, (count + 1) * entry_bytes) : pages_map((count + 1) * entry_bytes);
    return pages ? pages + entry_bytes : NULL;
}

/* 0: no memory, or at the bound; the walk is as it was, but that some of its arrays may be larger than they need be. */
COLD static int walk_resize(struct python_walk *walk, uint32_t capacity)
{
    uint32_t old = walk->capacity;
    struct level *levels = NULL;
    uint32_t *nodes = NULL;
    uint64_t *fresh = NULL;
    uint32_t *ends = NULL;
    struct python_segment *list = NULL;
    if (capacity <= PYTHON_STACK_MAX_DEPTH && (levels = resize_entries(walk->levels, sizeof *levels, old, capacity)))
        walk->levels = levels;
    if (levels && (nodes = resize_entries(walk->nodes, sizeof *nodes, old, capacity)))
        walk->nodes = nodes;
    if (nodes && (fresh = resize_entries(walk->fresh, sizeof *fresh, old, capacity)))
        walk->fresh = fresh;
    if (fresh && (ends = resize_entries(walk->segment_ends, sizeof *ends, old, capacity)))
        walk->segment_ends = ends;
    if (ends && (list = resize_entries(walk->list, sizeof *list, old, capacity)))
        walk->list = list;
    if (!list)
        return 0;
    walk->capacity = capacity;
    return 1;
}

COLD static void unmap_entries(void *entries, size_t entry_bytes)
{
    if (entries)
        pages_unmap((char *)entries - entry_bytes, (FIRST_DEPTH + 1) * entry_bytes);
}

COLD static void walk_drop(struct python_walk *walk)
{
    unmap_entries(walk->levels, sizeof *walk->levels);
    unmap_entries(walk->nodes, sizeof *walk->nodes);
    pages_unmap(walk, sizeof *walk);
}

COLD static struct python_walk *walk_of(struct thread_state *thread)
{
    struct python_walk *walk = pages_map(sizeof *walk);
    if (!walk || !walk_resize(walk, FIRST_DEPTH)) {
        if (walk)
            walk_drop(walk);
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
        return NULL;
    }
    walk->levels[-1].frame = NO_FRAME;
    thread->python = walk;
    return walk;
}

COLD static int walk_grow(struct python_walk *walk)
{
    return walk_resize(walk, 2 * walk->capacity);
}

HOT_INLINE uint32_t *slot_of(struct python_walk *walk, uint64_t frame)
{
    return &walk->slots[frame * 0x9E3779B97F4A7C15ull >> (64 - SLOT_BITS)];
}

HOT_INLINE uint32_t level_of(struct python_walk *walk, uint64_t frame)
{
    uint32_t level = *slot_of(walk, frame);
    return level < walk->depth && walk->levels[level].frame == frame ? level : NOT_KNOWN;
}

/* Compares level `from` and all outside of it with the frames. Returns ALL_LINKED, with the outermost level whose key differs (from + 1:
 * none), or the level whose caller is another one by now. */
HOT_INLINE uint32_t compare(const struct python_layout *layout, const struct python_walk *walk, uint32_t from, uint32_t *ret_changed,
                            int segmented)
{
    const struct level *level = &walk->levels[from] + 1, *changed = level;
    uint64_t expected = walk->levels[from].frame, caller;
    do {
        uint64_t frame = expected;
        /* It equals `caller`, and the compiler must not know: going on from there would chain the loads. */
        __asm__("" : "+r"(frame));
        level--;
        changed = segment_key_of(layout, frame, segmented) != level->key ? level : changed;
        caller = caller_of(layout, frame);
        expected = level[-1].frame;
    } while (likely(caller == expected));
    *ret_changed = (uint32_t)(changed - walk->levels);
    if (unlikely(level > walk->levels))
        return (uint32_t)(level - walk->levels);
    return likely(!caller == !walk->nodes[-1]) ? ALL_LINKED : 0;
}

/* What of the walk still holds. */
struct kept {
    uint32_t depth;       /* so many outer levels are linked as they were; 0: none */
    uint32_t changed;     /* the outermost of them whose key differs; depth: none */
    uint32_t fresh_count; /* further in, there are so many frames in the fresh list */
};

/* 0: the stack has more frames than fit. */
HOT_INLINE int add_fresh(struct python_walk *walk, struct kept *kept, uint64_t frame)
{
    if (unlikely(kept->fresh_count == walk->capacity) && !walk_grow(walk))
        return 0;
    walk->fresh[kept->fresh_count++] = frame;
    return 1;
}

/* Reads the stack from the top. Before 3.11 frames are recycled and turn up at other levels: what was known of them is fresh then.
 * 0: the stack has more frames than fit. */
HOT_INLINE int find_kept(const struct python_layout *layout, struct python_walk *walk, uint64_t top, struct kept *kept,
                         int segmented)
{
    for (uint64_t frame = top; frame; frame = caller_of(layout, frame)) {
        uint32_t level = level_of(walk, frame);
        if (level != NOT_KNOWN) {
            uint32_t stop = compare(layout, walk, level, &kept->changed, segmented);
            if (likely(stop == ALL_LINKED)) {
                kept->depth = level + 1;
                return 1;
            }
            for (; level > stop; level--)
                if (!add_fresh(walk, kept, walk->levels[level].frame))
                    return 0;
            frame = walk->levels[stop].frame;
        }
        if (!add_fresh(walk, kept, frame))
            return 0;
    }
    walk->nodes[-1] = 0;
    return 1;
}

/* Segments are the same in many stacks, which call what comes next in different orders: siblings tell less than what was asked for lately. */
HOT_INLINE uint32_t *recent_of(struct python_walk *walk, uint32_t parent, uint64_t key)
{
    uint64_t mixed = (key ^ (uint64_t)parent << 32) * 0x9E3779B97F4A7C15ull;
    return &walk->recent[mixed >> (64 - RECENT_BITS)];
}

/* What this level held before, whatever it was, is the hint: often the frame's last sibling. */
HOT_INLINE void resolve_level(const struct python_layout *layout, struct python_walk *walk, uint32_t at, int segmented)
{
    uint64_t frame = walk->levels[at].frame, key = segment_key_of(layout, frame, segmented);
    uint32_t *node = &walk->nodes[at], parent = segmented && at && is_entry(layout, frame) ? 0 : node[-1], hint = *node;
    walk->levels[at].key = key;
    *node = parent;
    if (is_shim(layout, frame))
        return;
    uint32_t *recent = segmented ? recent_of(walk, parent, key) : NULL;
    *node = segmented ? stack_table_check(*recent, parent, key, walk->tag) : stack_table_predict(parent, hint, key, walk->tag);
    if (likely(*node))
        return;
    *node = resolve(layout, walk, frame, parent);
    if (!*node || *node == parent)
        return;
    stack_table_remember(*node, parent, hint, key, walk->tag);
    if (segmented)
        *recent = *node;
}

/* Makes the walk what the stack is: levels that have changed are resolved anew, the fresh frames go on top. */
HOT_INLINE uint32_t update(const struct python_layout *layout, struct python_walk *walk, const struct kept *kept, int segmented)
{
    uint32_t depth = kept->depth + kept->fresh_count;
    uint32_t intact = kept->changed < kept->depth ? kept->changed : kept->depth; /* `changed` may be of levels that were not kept */
    walk->steady = walk->steady < intact ? walk->steady : intact;
    for (uint32_t at = kept->changed; at < kept->depth; at++)
        resolve_level(layout, walk, at, segmented);
    for (uint32_t at = kept->depth; at < depth; at++) {
        uint64_t frame = walk->fresh[depth - 1 - at];
        walk->levels[at].frame = frame;
        *slot_of(walk, frame) = at;
        resolve_level(layout, walk, at, segmented);
    }
    walk->depth = depth;
    return segmented ? depth > 0 : walk->nodes[(int64_t)depth - 1];
}

/* Forgets the walk and reads the whole stack, or so much of its inner part as leaves room to grow in. */
COLD static uint32_t rebuild(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented)
{
    struct kept none = {0};
    uint64_t frame = top;
    while (frame && add_fresh(walk, &none, frame))
        frame = caller_of(layout, frame);
    walk->nodes[-1] = 0;
    if (frame) {
        none.fresh_count = walk->capacity / 4 * 3;
        walk->nodes[-1] = stack_table_cut();
    }
    return update(layout, walk, &none, segmented);
}

/* A cut walk that most of its frames have left says less than could be known again. */
HOT_INLINE int is_worn_out(const struct python_walk *walk, uint32_t depth)
{
    return walk->nodes[-1] && depth < walk->capacity / 2;
}

HOT_INLINE uint32_t capture(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented)
{
    uint64_t epoch = atomic_load_explicit(&code_table_epoch, memory_order_relaxed);
    if (unlikely(walk->code_epoch != epoch)) {
        walk->code_epoch = epoch;
        walk->tag = stack_tag_of_epoch(epoch);
        walk->depth = 0;
    }
    struct kept kept = {0};
    int fits = find_kept(layout, walk, top, &kept, segmented);
    uint32_t depth = kept.depth + kept.fresh_count, node;
    if (unlikely(!fits || is_worn_out(walk, depth) || (depth > walk->capacity && !walk_grow(walk))))
        node = rebuild(layout, walk, top, segmented);
    else
        node = update(layout, walk, &kept, segmented);
    if (unlikely(walk->unreadable))
        walk->unreadable = walk->code_epoch = 0;
    return node;
}

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
        uint64_t frame = walk->levels[at].frame;
        int entry = is_entry(layout, frame);
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
    if (layout->version < VERSION_3_12)
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

/* Is each level's node what its frame says? */
static int nodes_differ(const struct python_layout *layout, const struct python_walk *walk, const uint64_t *frames, int segmented)
{
    static struct python_walk scratch; /* nothing of it is looked at */
    uint32_t node = walk->nodes[-1];
    for (uint32_t at = 0; at < walk->depth; at++) {
        uint64_t frame = frames[walk->depth - 1 - at];
        node = segmented && at && is_entry(layout, frame) ? 0 : node;
        node = is_shim(layout, frame) ? node : resolve(layout, &scratch, frame, node);
        if (node != walk->nodes[at])
            return 1;
    }
    return 0;
}

static void self_check(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented)
{
    uint32_t count = 0;
    for (uint64_t frame = top; frame && count < walk->depth; frame = caller_of(layout, frame))
        walk->fresh[count++] = frame;
    int whole = count == walk->depth && (walk->nodes[-1] || !caller_of(layout, walk->fresh[count - 1]));
    atomic_fetch_add(&python_stack_checks, 1);
    if (!whole || nodes_differ(layout, walk, walk->fresh, segmented))
        atomic_fetch_add(&python_stack_differences, 1);
}

#endif

HOT_INLINE uint32_t capture_state(const struct python_layout *layout, struct thread_state *thread, const void *state, int segmented)
{
    uint64_t top = top_frame(layout, state);
    struct python_walk *walk = thread->python;
    if (unlikely(!top) || (unlikely(!walk) && !(walk = walk_of(thread))))
        return 0;
    uint32_t node = capture(layout, walk, top, segmented);
#ifdef HEAPLINE_STACK_SELF_CHECK
    self_check(layout, walk, top, segmented);
#endif
    return node;
}

/* One function a layout: the offsets become constants. */
#define X(index, initializer)                                                                    \
    static uint32_t capture_##index(struct thread_state *thread, const void *state)              \
    {                                                                                            \
        static const struct python_layout layout = initializer;                                  \
        return capture_state(&layout, thread, state, 0);                                         \
    }                                                                                            \
    static uint32_t capture_segments_##index(struct thread_state *thread, const void *state)     \
    {                                                                                            \
        static const struct python_layout layout = initializer;                                  \
        return capture_state(&layout, thread, state, 1);                                         \
    }
PYTHON_LAYOUTS(X)
#undef X

static uint32_t capture_published(struct thread_state *thread, const void *state)
{
    return capture_state(&python_stack_layout, thread, state, 0);
}

static uint32_t capture_segments_published(struct thread_state *thread, const void *state)
{
    return capture_state(&python_stack_layout, thread, state, 1);
}

#define X(index, initializer) [index] = {capture_##index, capture_segments_##index},
static const python_stack_function captures[][2] = {
    PYTHON_LAYOUTS(X)
    [PYTHON_LAYOUT_OTHER] = {capture_published, capture_segments_published},
};
#undef X

/* ---- start ---- */

static unsigned chosen_layout;

/* Stands in until the first frame is seen. */
static uint32_t check_then_capture(struct thread_state *thread, const void *state)
{
    if (!top_frame(&python_stack_layout, state))
        return 0;
    if (!python_layout_fits(&python_stack_layout, state, python_api.code_type)) {
        recorder_session->python_flags |= PYTHON_STACKS_OFF;
        python_stack_capture = NULL;
        return 0;
    }
    python_stack_capture = captures[chosen_layout][python_stack_has_segments];
    return captures[chosen_layout][python_stack_has_segments](thread, state);
}

void python_stack_start(const struct python_layout *layout, unsigned index)
{
    python_stack_layout = *layout;
    chosen_layout = index;
    python_stack_has_segments = recorder_session->flags & SESSION_NATIVE && layout->version >= VERSION_3_10;
    python_stack_capture = check_then_capture;
}
