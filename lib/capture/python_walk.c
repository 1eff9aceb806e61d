/* The cold half of python_walk.h: a walk's memory, frames that are met for the first time, and stacks that are read anew. */
#include "python_walk.h"

#include "pages.h"
#include "recorder.h"

#define WALK_FIRST_DEPTH 1024u
#define NO_FRAME 1ull

uint32_t python_walk_resolve(const struct python_layout *layout, struct python_walk *walk, uint64_t frame, uint32_t parent)
{
    uint64_t code = python_frame_code(layout, frame);
    uint32_t code_id = code_table_find(layout, code);
    if (unlikely(!code_id || code_id == CODE_HIDDEN)) {
        walk->unreadable |= !code_id;
        return parent;
    }
    return stack_table_python(parent, code_id, python_frame_instruction(layout, frame, code));
}

static uint32_t walk_recent_beside(const struct python_walk *walk, uint64_t place, uint32_t parent, uint64_t epoch_key)
{
    for (uint64_t i = 1; i <= WALK_BESIDE; i++)
        if (walk_recent_is(&walk->recent[place ^ i], parent, epoch_key))
            return walk->recent[place ^ i].node;
    return 0;
}

uint32_t python_walk_resolve_key(const struct python_layout *layout, struct python_walk *walk, uint64_t frame, uint64_t key, uint32_t parent,
                                 uint32_t hint)
{
    uint64_t epoch_key = key + walk->code_epoch, place = walk_recent_place(parent, epoch_key);
    uint32_t node = walk_recent_beside(walk, place, parent, epoch_key);
    if (node)
        return node;
    node = stack_table_predict(parent, hint, key, walk->tag);
    if (unlikely(!node)) {
        node = python_walk_resolve(layout, walk, frame, parent);
        if (!node || node == parent)
            return node;
        stack_table_remember(node, parent, hint, key, walk->tag);
    }
    walk->recent[walk_beside(&walk->recent_turn, place)] = walk->recent[place];
    walk->recent[place] = (struct walk_recent){epoch_key, parent, node};
    return node;
}

/* Entries -1 and `count` are there as well; `place`: of entry 0. NULL: no memory; `entries` is as it was. */
COLD static void *resize_entries(enum page_place place, void *entries, size_t entry_bytes, size_t old_count, size_t count)
{
    size_t old_bytes = (old_count + 1) * entry_bytes, bytes = (count + 1) * entry_bytes;
    return entries ? pages_remap_at(place, entries, old_bytes, bytes) : pages_map_at(place, bytes);
}

/* 0: no memory, or at the bound; the walk is as it was, but that some of its arrays may be larger than they need be. */
COLD static int walk_resize(struct python_walk *walk, uint32_t capacity)
{
    uint32_t old = walk->capacity;
    struct walk_level *levels = NULL;
    uint32_t *nodes = NULL;
    uint64_t *fresh = NULL;
    uint32_t *ends = NULL;
    struct python_segment *list = NULL;
    if (capacity <= PYTHON_STACK_MAX_DEPTH && (levels = resize_entries(PLACE_WALK_LEVELS, walk->levels, sizeof *levels, old, capacity)))
        walk->levels = levels;
    if (levels && (nodes = resize_entries(PLACE_WALK_NODES, walk->nodes, sizeof *nodes, old, capacity)))
        walk->nodes = nodes;
    if (nodes && (fresh = resize_entries(PLACE_WALK_FRESH, walk->fresh, sizeof *fresh, old, capacity)))
        walk->fresh = fresh;
    if (fresh && (ends = resize_entries(PLACE_WALK_ENDS, walk->segment_ends, sizeof *ends, old, capacity)))
        walk->segment_ends = ends;
    if (ends && (list = resize_entries(PLACE_WALK_SEGMENTS, walk->list, sizeof *list, old, capacity)))
        walk->list = list;
    if (!list)
        return 0;
    walk->capacity = capacity;
    return 1;
}

COLD static void unmap_entries(enum page_place place, void *entries, size_t entry_bytes)
{
    if (entries)
        pages_unmap_at(place, entries, (WALK_FIRST_DEPTH + 1) * entry_bytes);
}

COLD static void walk_drop(struct python_walk *walk)
{
    unmap_entries(PLACE_WALK_LEVELS, walk->levels, sizeof *walk->levels);
    unmap_entries(PLACE_WALK_NODES, walk->nodes, sizeof *walk->nodes);
    pages_unmap_at(PLACE_PYTHON_WALK, walk, sizeof *walk);
}

struct python_walk *python_walk_new(struct thread_state *thread)
{
    struct python_walk *walk = pages_map_at(PLACE_PYTHON_WALK, sizeof *walk);
    if (!walk || !walk_resize(walk, WALK_FIRST_DEPTH)) {
        if (walk)
            walk_drop(walk);
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
        return NULL;
    }
    walk->levels[0].caller = NO_FRAME;
    thread->python = walk;
    return walk;
}

int python_walk_grow(struct python_walk *walk)
{
    return walk_resize(walk, 2 * walk->capacity);
}

uint32_t python_walk_rebuild(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented)
{
    struct walk_kept none = {0};
    uint64_t frame = top;
    while (frame && walk_add_fresh(walk, &none, frame))
        frame = python_frame_caller(layout, frame);
    walk->nodes[-1] = segmented ? 0 : stack_root;
    walk->is_cut = frame != 0;
    walk->known = 0;
    if (frame) {
        none.fresh_count = walk->capacity / 4 * 3;
        walk->nodes[-1] = stack_table_cut(walk->nodes[-1]);
    }
    return walk_update(layout, walk, &none, segmented);
}
