/* Consumes interpreter frames, produces node ids.
 *
 * A shallow stack is found by the hash of its frames' keys, among those that were found lately.
 *
 * Most of any other is what it was when the thread was last asked. So: walk from the innermost frame to the first one that the kept walk
 * knows. From there take each caller's address from the walk and only compare it with what the frame says: the loads don't wait for one
 * another. Note the outermost level whose key has changed, and resolve anew from there. Every level is looked at down to the root, as
 * stopping at the first equal frame is wrong for 3 to 5 % of stacks: a frame below may have moved on.
 *
 * Levels beyond the top stay known: a function that is called again often gets the same frame. What each says holds as long as its caller's
 * node does, so that where a node changes, the key of the next level further in is taken away.
 *
 * With native frames, Python frames are kept by segment (python_stack.h): a chain of nodes begins at each entry frame, so that an inner
 * segment's nodes don't depend on what is further out. Whether a frame is an entry frame is part of its key where the frame says so.
 *
 * A key is forgeable only by a code object that takes the place of a dead one; the code epoch tells. */
#ifndef HEAPLINE_CAPTURE_PYTHON_WALK_H
#define HEAPLINE_CAPTURE_PYTHON_WALK_H

#include <stdatomic.h>

#include "code_table.h"
#include "python_frame.h"
#include "python_stack.h"
#include "stack_table.h"

#define WALK_SLOT_BITS 9
#define WALK_RECENT_BITS 12
#define WALK_FOUND_BITS 12
#define WALK_BESIDE 3u /* entries that share a line of the cache with one: looked at after it, and what was in it goes there */
/* A hash reads one frame after the other: from so many on, comparing with what is kept is cheaper; down to so few it isn't yet again. */
#define WALK_DEEP 24u
#define WALK_SHALLOW 20u
#define WALK_HASH_FACTOR 0x9E3779B97F4A7C15ull /* odd; of Fibonacci hashing */
#define WALK_NOT_KNOWN UINT32_MAX
#define WALK_NO_KEY 0ull

/* What a level's frame says, beside one another as in the frames of 3.11. The frame itself is the `caller` of the next level. */
struct walk_level {
    uint64_t caller;
    uint64_t key;
};

/* A stack that was found lately. */
struct walk_found {
    uint64_t hash; /* of the code epoch, the root and its frames' keys */
    uint32_t node;
};

/* A frame that was looked for lately. */
struct walk_recent {
    uint64_t key;    /* of the frame and of the code epoch */
    uint32_t parent; /* its caller's node */
    uint32_t node;
};

/* How a thread's stacks are looked for first. */
enum walk_way {
    WALK_UNKNOWN = 0, /* whole stacks have not been asked for */
    WALK_HASHED,      /* by the hash of all their keys */
    WALK_KEPT,        /* deep ones: by what is kept of the last one */
};

struct python_walk {
    uint32_t way;          /* enum walk_way */
    uint32_t depth, capacity;
    uint64_t hashed_root;  /* what tells stack_root in hashes */
    uint32_t known;        /* levels that say something; `depth` or more */
    uint64_t quick_epoch;  /* code_epoch, where the kept levels are a whole stack, not segments, and from the root; else 0 */
    uint64_t code_epoch;   /* the walk is valid for; 0: for none */
    uint32_t tag;          /* of that epoch, for predictions */
    struct walk_level *levels;  /* root to top; levels[0].caller is no frame's address, so that comparing ends there */
    uint32_t *nodes;       /* of each level, the stack that ends with it; nodes[-1]: stack_root (0 by segments), or the cut */
    uint32_t is_cut;
    uint64_t *fresh;       /* frames met on the way from the top that aren't in the walk, innermost first */
    uint32_t unreadable;   /* a frame's code has no id: the walk must not be believed next time */
    uint32_t *segment_ends;       /* of each level, the segments that begin with it or further out */
    struct python_segment *list;
    struct python_segments segments;
    uint32_t steady;       /* levels below it have not changed since the segments were asked for */
    uint32_t slots[1 << WALK_SLOT_BITS]; /* hash of frame -> level */
    uint32_t recent_turn, found_turn; /* decide which entry beside a place makes room */
    alignas(CACHE_LINE_BYTES) struct walk_recent recent[1 << WALK_RECENT_BITS]; /* by a hash of caller's node and key */
    alignas(CACHE_LINE_BYTES) struct walk_found found[1 << WALK_FOUND_BITS];
};

/* The cold half (python_walk.c). python_walk_new: a thread's first; NULL: no memory, which is counted. python_walk_grow: 0: no memory, or at
 * the bound. */
COLD struct python_walk *python_walk_new(struct thread_state *thread);
COLD int python_walk_grow(struct python_walk *walk);

/* The node of this frame, called from `parent`, from what the frame says. */
uint32_t python_walk_resolve(const struct python_layout *layout, struct python_walk *walk, uint64_t frame, uint32_t parent);

/* Forgets the walk and reads the whole stack, or so much of its inner part as leaves room to grow in. */
COLD uint32_t python_walk_rebuild(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented);

#ifdef HEAPLINE_STACK_SELF_CHECK
void python_walk_check(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented);
void python_walk_check_node(const struct python_layout *layout, struct python_walk *walk, uint64_t top, uint32_t node);
#endif

HOT_INLINE uint32_t *walk_slot(struct python_walk *walk, uint64_t frame)
{
    return &walk->slots[frame * WALK_HASH_FACTOR >> (64 - WALK_SLOT_BITS)];
}

HOT_INLINE uint64_t walk_frame(const struct python_walk *walk, uint32_t level)
{
    return walk->levels[level + 1ull].caller;
}

HOT_INLINE void walk_set_frame(struct python_walk *walk, uint32_t level, uint64_t frame)
{
    walk->levels[level + 1ull].caller = frame;
    *walk_slot(walk, frame) = level;
}

HOT_INLINE uint32_t walk_level(struct python_walk *walk, uint64_t frame)
{
    uint32_t level = *walk_slot(walk, frame);
    return level < walk->known && walk_frame(walk, level) == frame ? level : WALK_NOT_KNOWN;
}

/* `depth` levels have new nodes: what was known further in, if anything, was of the old ones. There is an entry at `capacity`, too. */
HOT_INLINE void walk_end_at(struct python_walk *walk, uint32_t depth)
{
    walk->levels[depth].key = WALK_NO_KEY;
}

/* Of a level and all outside of it with their frames. */
struct walk_comparison {
    const struct walk_level *moved; /* the outermost one whose key differs; beyond the level where it began: none */
    const struct walk_level *end;   /* the outermost one that was looked at */
    uint64_t caller;                /* of that one */
};

HOT_INLINE struct walk_comparison walk_compare(const struct python_layout *layout, const struct python_walk *walk, uint32_t from,
                                               int segmented)
{
    const struct walk_level *level = &walk->levels[from] + 1, *moved = level;
    uint64_t expected = level->caller, caller;
    do {
        uint64_t frame = expected;
        /* It equals `caller`, and the compiler must not know: going on from there would chain the loads. */
        __asm__("" : "+r"(frame));
        level--;
        moved = python_frame_segment_key(layout, frame, segmented) != level->key ? level : moved;
        caller = python_frame_caller(layout, frame);
        expected = level->caller;
    } while (likely(caller == expected));
    return (struct walk_comparison){moved, level, caller};
}

/* Is every level's caller what it was? Else `end` has another one by now. */
HOT_INLINE int walk_is_linked(const struct python_walk *walk, const struct walk_comparison *comparison)
{
    return comparison->end == walk->levels && !comparison->caller == !walk->is_cut;
}

/* What of the walk still holds. */
struct walk_kept {
    uint32_t depth;       /* so many outer levels are linked as they were; 0: none */
    uint32_t changed;     /* the outermost of them whose key differs; depth: none */
    uint32_t fresh_count; /* further in, there are so many frames in the fresh list */
};

/* 0: the stack has more frames than fit. */
HOT_INLINE int walk_add_fresh(struct python_walk *walk, struct walk_kept *kept, uint64_t frame)
{
    if (unlikely(kept->fresh_count == walk->capacity) && !python_walk_grow(walk))
        return 0;
    walk->fresh[kept->fresh_count++] = frame;
    return 1;
}

/* Reads the stack from the top. Before 3.11 frames are recycled and turn up at other levels: what was known of them is fresh then.
 * 0: the stack has more frames than fit. */
HOT_INLINE int walk_find_kept(const struct python_layout *layout, struct python_walk *walk, uint64_t top, struct walk_kept *kept,
                         int segmented)
{
    for (uint64_t frame = top; frame; frame = python_frame_caller(layout, frame)) {
        uint32_t level = walk_level(walk, frame);
        if (level != WALK_NOT_KNOWN) {
            struct walk_comparison comparison = walk_compare(layout, walk, level, segmented);
            uint32_t stop = (uint32_t)(comparison.end - walk->levels);
            kept->changed = (uint32_t)(comparison.moved - walk->levels);
            if (likely(walk_is_linked(walk, &comparison))) {
                kept->depth = level + 1;
                return 1;
            }
            for (; level > stop; level--)
                if (!walk_add_fresh(walk, kept, walk_frame(walk, level)))
                    return 0;
            frame = walk_frame(walk, stop);
        }
        if (!walk_add_fresh(walk, kept, frame))
            return 0;
    }
    walk->nodes[-1] = segmented ? 0 : stack_root;
    walk->is_cut = 0;
    return 1;
}

/* Something newer takes this place: where what was there goes. */
HOT_INLINE uint64_t walk_beside(uint32_t *turn, uint64_t place)
{
    return place ^ (1 + (*turn)++ % WALK_BESIDE);
}

/* What was asked for lately is known without a look at the nodes, which are spread over more memory. */
HOT_INLINE uint64_t walk_recent_place(uint32_t parent, uint64_t epoch_key)
{
    return ((epoch_key ^ (uint64_t)parent << 32) * WALK_HASH_FACTOR) >> (64 - WALK_RECENT_BITS);
}

HOT_INLINE int walk_recent_is(const struct walk_recent *recent, uint32_t parent, uint64_t epoch_key)
{
    return likely(recent->key == epoch_key) && likely(recent->parent == parent);
}

/* Else it is beside its place, or a sibling of what this level held before, or the caller's last callee (stack_table.h), or found the sure
 * way. 0: it can't be defined. */
uint32_t python_walk_resolve_key(const struct python_layout *layout, struct python_walk *walk, uint64_t frame, uint64_t key, uint32_t parent,
                                 uint32_t hint);

/* `walk->code_epoch` is the current one. */
HOT_INLINE uint32_t walk_node_of(const struct python_layout *layout, struct python_walk *walk, uint64_t frame, uint64_t key, uint32_t parent,
                                 uint32_t hint)
{
    uint64_t epoch_key = key + walk->code_epoch;
    const struct walk_recent *recent = &walk->recent[walk_recent_place(parent, epoch_key)];
    if (walk_recent_is(recent, parent, epoch_key))
        return recent->node;
    return python_walk_resolve_key(layout, walk, frame, key, parent, hint);
}

/* It will be asked for, most likely. */
HOT_INLINE void walk_prefetch_node(const struct python_walk *walk, uint64_t key, uint32_t parent)
{
    __builtin_prefetch(&walk->recent[walk_recent_place(parent, key + walk->code_epoch)]);
}

HOT_INLINE void walk_resolve_level(const struct python_layout *layout, struct python_walk *walk, uint32_t at, int segmented)
{
    uint64_t frame = walk_frame(walk, at), key = python_frame_segment_key(layout, frame, segmented);
    uint32_t *node = &walk->nodes[at], parent = segmented && at && python_frame_is_entry(layout, frame) ? 0 : node[-1], hint = *node;
    walk->levels[at].key = key;
    *node = python_frame_is_shim(layout, frame) ? parent : walk_node_of(layout, walk, frame, key, parent, hint);
}

HOT_INLINE uint64_t walk_hashed_root(void)
{
    return (uint64_t)stack_root << 32;
}

/* The calling thread has another stack_root: what is kept doesn't hold, even where the frames are what they were. Hashes tell roots apart. */
HOT_INLINE void python_walk_change_root(struct python_walk *walk)
{
    walk->code_epoch = walk->quick_epoch = 0;
    walk->hashed_root = walk_hashed_root();
}

/* Makes the walk what the stack is: levels that have changed are resolved anew, the fresh frames go on top. */
HOT_INLINE uint32_t walk_update(const struct python_layout *layout, struct python_walk *walk, const struct walk_kept *kept, int segmented)
{
    uint32_t depth = kept->depth + kept->fresh_count;
    uint32_t intact = kept->changed < kept->depth ? kept->changed : kept->depth; /* `changed` may be of levels that were not kept */
    if (intact < depth)
        walk_end_at(walk, depth);
    if (segmented) {
        intact = intact < walk->depth ? intact : walk->depth;
        walk->steady = walk->steady < intact ? walk->steady : intact;
    }
    for (uint32_t at = kept->changed; at < kept->depth; at++)
        walk_resolve_level(layout, walk, at, segmented);
    for (uint32_t at = kept->depth; at < depth; at++) {
        walk_set_frame(walk, at, walk->fresh[depth - 1 - at]);
        walk_resolve_level(layout, walk, at, segmented);
    }
    walk->depth = depth;
    walk->known = walk->known > depth ? walk->known : depth;
    return segmented ? depth > 0 : walk->nodes[(int64_t)depth - 1];
}

/* A cut walk that most of its frames have left says less than could be known again. */
HOT_INLINE int walk_is_worn_out(const struct python_walk *walk, uint32_t depth)
{
    return walk->is_cut && depth < walk->capacity / 2;
}

HOT_INLINE uint32_t walk_capture(const struct python_layout *layout, struct python_walk *walk, uint64_t top, int segmented)
{
    uint64_t epoch = atomic_load_explicit(&code_table_epoch, memory_order_relaxed);
    if (unlikely(walk->code_epoch != epoch)) {
        walk->code_epoch = epoch;
        walk->tag = stack_tag_of_epoch(epoch);
        walk->known = walk->depth = 0;
    }
    struct walk_kept kept = {0};
    int fits = walk_find_kept(layout, walk, top, &kept, segmented);
    uint32_t depth = kept.depth + kept.fresh_count, node;
    if (unlikely(!fits || walk_is_worn_out(walk, depth) || (depth > walk->capacity && !python_walk_grow(walk))))
        node = python_walk_rebuild(layout, walk, top, segmented);
    else
        node = walk_update(layout, walk, &kept, segmented);
    if (unlikely(walk->unreadable))
        walk->unreadable = walk->code_epoch = 0;
    walk->quick_epoch = segmented || walk->is_cut ? 0 : walk->code_epoch;
    return node;
}

/* ---- deep stacks ---- */

#define WALK_TOP 2u   /* levels that may have moved: further out, hardly ever one has */
#define WALK_FRESH 3u /* at most so many more that the walk doesn't know */

/* Does what is kept hold for the levels outside of `end`, whose caller is known to be what it was? From the inside outward, and no further than it
 * does: that a kept frame is still there, in memory that is still mapped, only its callee says. */
HOT_INLINE int walk_outer_holds(const struct python_layout *layout, const struct walk_level *levels, const struct walk_level *end)
{
    const struct walk_level *level = end;
    uint64_t difference = 0, caller;
    do {
        uint64_t frame = level->caller;
        __asm__("" : "+r"(frame)); /* as in walk_compare */
        level--;
        difference |= python_frame_key(layout, frame) ^ level->key;
        caller = python_frame_caller(layout, frame);
    } while (likely(caller == level->caller));
    return level == levels && !caller && likely(!difference);
}

/* The stack that ends with this frame, which the walk knows, or one of whose callers nearby; 0: ask python_walk_capture. */
HOT_INLINE uint32_t python_walk_kept(const struct python_layout *layout, struct python_walk *walk, uint64_t top)
{
    if (unlikely(walk->quick_epoch != atomic_load_explicit(&code_table_epoch, memory_order_relaxed)))
        return 0;
    uint64_t frame = top;
    uint32_t known, fresh_count = 0;
    while (!(known = walk_level(walk, frame) + 1)) { /* WALK_NOT_KNOWN + 1 */
        if (unlikely(fresh_count == WALK_FRESH))
            return 0;
        walk->fresh[fresh_count++] = frame;
        frame = python_frame_caller(layout, frame);
        if (unlikely(!frame))
            return 0;
    }
    uint32_t depth = known + fresh_count;
    if (unlikely(known <= WALK_TOP) || unlikely(depth > walk->capacity))
        return 0;
    struct walk_level *level = &walk->levels[known];
    uint32_t at = known;
    for (uint32_t i = 1; i <= WALK_TOP; i++) {
        level--;
        at = python_frame_key(layout, frame) != level->key ? known - i : at;
        if (unlikely(python_frame_caller(layout, frame) != level->caller))
            return 0;
        frame = level->caller;
        __asm__("" : "+r"(frame)); /* as in walk_compare */
    }
    if (at < depth) {
        uint64_t first = at < known ? walk_frame(walk, at) : walk->fresh[fresh_count - 1];
        walk_prefetch_node(walk, python_frame_key(layout, first), walk->nodes[(int64_t)at - 1]);
    }
    if (!walk_outer_holds(layout, walk->levels, level))
        return 0;
    if (fresh_count) {
        for (uint32_t i = 0; i < fresh_count; i++)
            walk_set_frame(walk, depth - 1 - i, walk->fresh[i]);
        walk->known = walk->known > depth ? walk->known : depth;
    }
    walk->depth = depth;
    if (at < depth)
        walk_end_at(walk, depth);
    for (; at < depth; at++)
        walk_resolve_level(layout, walk, at, 0);
    if (unlikely(walk->unreadable))
        walk->unreadable = walk->code_epoch = walk->quick_epoch = 0;
    return walk->nodes[depth - 1];
}

/* What python_stack_function does, where `layout` is a constant. */
HOT_INLINE uint32_t python_walk_capture(const struct python_layout *layout, struct thread_state *thread, const void *state, int segmented)
{
    uint64_t top = python_frame_top(layout, state);
    struct python_walk *walk = thread->python;
    if (unlikely(!top) || (unlikely(!walk) && !(walk = python_walk_new(thread))))
        return 0;
    uint32_t node = walk_capture(layout, walk, top, segmented);
#ifdef HEAPLINE_STACK_SELF_CHECK
    python_walk_check(layout, walk, top, segmented);
#endif
    return node;
}

/* A polynomial in the code epoch, the root and all keys, modulo 2^64: among a million stacks, two are taken for one another with a probability below
 * 10^-7. The loads wait for one another, but nothing waits for the result. */
HOT_INLINE uint64_t walk_hash(const struct python_layout *layout, const struct python_walk *walk, uint64_t top)
{
    uint64_t hash = atomic_load_explicit(&code_table_epoch, memory_order_relaxed) + walk->hashed_root;
    for (uint64_t frame = top; frame; frame = python_frame_caller(layout, frame))
        hash = (hash + python_frame_key(layout, frame)) * WALK_HASH_FACTOR;
    return hash;
}

/* By the innermost frame alone, so that the entry is on its way while the other frames are read. */
HOT_INLINE uint64_t walk_found_place(const struct python_layout *layout, uint64_t top)
{
    return ((top ^ python_frame_key(layout, top)) * WALK_HASH_FACTOR) >> (64 - WALK_FOUND_BITS);
}

/* NULL: not among those found lately. */
HOT_INLINE const struct walk_found *walk_found(const struct python_walk *walk, uint64_t place, uint64_t hash)
{
    if (likely(walk->found[place].hash == hash))
        return &walk->found[place];
    for (uint64_t i = 1; i <= WALK_BESIDE; i++)
        if (walk->found[place ^ i].hash == hash)
            return &walk->found[place ^ i];
    return NULL;
}

HOT_INLINE void walk_add_found(struct python_walk *walk, uint64_t place, uint64_t hash, uint32_t node)
{
    walk->found[walk_beside(&walk->found_turn, place)] = walk->found[place];
    walk->found[place] = (struct walk_found){hash, node};
}

/* The stack is what the walk has kept now: how the next one is to be looked for. */
HOT_INLINE void walk_choose_way(struct thread_state *thread, struct python_walk *walk)
{
    if (walk->depth > WALK_DEEP)
        walk->way = WALK_KEPT;
    else if (walk->way != WALK_KEPT || walk->depth <= WALK_SHALLOW)
        walk->way = WALK_HASHED;
    thread->hashed = walk->way == WALK_HASHED ? walk : NULL;
    walk->hashed_root = walk_hashed_root();
}

/* The stack of this state, where deep ones are looked for. 0: they are not, or it isn't known. */
HOT_INLINE uint32_t python_walk_deep(const struct python_layout *layout, struct thread_state *thread, const void *state)
{
    struct python_walk *walk = thread->python;
    uint64_t top = python_frame_top(layout, state);
    uint32_t node = likely(walk != NULL) && likely(walk->way == WALK_KEPT) && likely(top) ? python_walk_kept(layout, walk, top) : 0;
    if (likely(node) && unlikely(walk->depth <= WALK_SHALLOW))
        walk_choose_way(thread, walk);
#ifdef HEAPLINE_STACK_SELF_CHECK
    if (node)
        python_walk_check(layout, walk, top, 0);
#endif
    return node;
}

/* Where neither python_walk_quick nor python_walk_deep has found the stack; and the first time, which tells that whole stacks are asked for. */
HOT_INLINE uint32_t python_walk_find(const struct python_layout *layout, struct thread_state *thread, const void *state)
{
    uint64_t top = python_frame_top(layout, state);
    struct python_walk *walk = thread->python;
    uint32_t node = walk && walk->way == WALK_HASHED && top ? python_walk_kept(layout, walk, top) : 0;
    if (!node && !(node = python_walk_capture(layout, thread, state, 0)))
        return 0;
    walk = thread->python;
    walk_choose_way(thread, walk);
    if (walk->way == WALK_HASHED && walk->quick_epoch)
        walk_add_found(walk, walk_found_place(layout, top), walk_hash(layout, walk, top), node);
    return node;
}

/* python_walk_find of a layout, out of line. */
typedef uint32_t (*python_walk_find_function)(struct thread_state *thread, const void *state);
#define X(index, initializer) uint32_t python_walk_find_##index(struct thread_state *thread, const void *state);
PYTHON_LAYOUTS(X)
#undef X

/* The stack of this state, if it is a shallow one that was found lately. */
HOT_INLINE const struct walk_found *python_walk_quick(const struct python_layout *layout, struct thread_state *thread, const void *state)
{
    struct python_walk *walk = thread->hashed;
    if (unlikely(!walk))
        return NULL;
    uint64_t top = python_frame_top(layout, state);
    uint64_t place = top ? walk_found_place(layout, top) : 0;
    __builtin_prefetch(&walk->found[place]);
    const struct walk_found *found = walk_found(walk, place, walk_hash(layout, walk, top));
#ifdef HEAPLINE_STACK_SELF_CHECK
    if (found)
        python_walk_check_node(layout, walk, python_frame_top(layout, state), found->node);
#endif
    return found;
}

#endif
