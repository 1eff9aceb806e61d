/* Shortcuts: the same few stacks come again and again, while the levels keep only the last one. A shortcut leads from the innermost place of
 * a stack past all frames that were fresh when it was last walked, to a level. It may be taken when that level stands where it did, perhaps
 * mended, and all return addresses and cells on the way are what they were; nothing is walked, and hardly anything written.
 *
 * From one place there may be more ways than a set has room for (recursion): each would be gone before it is needed again. So one that was taken
 * stays when a new one is to be made, and one that was not is replaced at some visits only. */
#ifndef HEAPLINE_CAPTURE_NATIVE_SHORTCUT_H
#define HEAPLINE_CAPTURE_NATIVE_SHORTCUT_H

#include <stdatomic.h>

#include "native_levels.h"
#include "native_memo.h"
#include "native_unwinder.h"

HOT_INLINE unsigned native_shortcut_set(uint64_t stack, uint64_t address)
{
    return (unsigned)(address ^ address >> 6 ^ stack >> 4) & ((1 << NATIVE_SHORTCUT_SET_BITS) - 1);
}

HOT_INLINE int native_shortcut_begins_at(const struct native_shortcut *shortcut, const struct native_place *place)
{
    return shortcut->place.stack == place->stack && shortcut->place.address == place->address &&
           (!shortcut->needs_frame_pointer || shortcut->place.frame_pointer == place->frame_pointer);
}

/* Does it lead to a level that stands where it did, as far as that can be told without looking at the stack? */
HOT_INLINE int native_shortcut_fits(const struct native_unwinder *unwinder, const struct native_shortcut *shortcut)
{
    int at = shortcut->outer_at;
    const struct native_level *level = &unwinder->levels[at];
    return at < unwinder->meetable && shortcut->spots[0].stack == unwinder->spots[at].stack &&
           native_needs_frame_pointer(level) == shortcut->outer_needs_frame_pointer &&
           (likely(!shortcut->outer_needs_frame_pointer) || level->detail.frame_pointer == shortcut->outer_frame_pointer);
}

/* Are all return addresses and cells on the way what they were, and the level that it leads to, perhaps mended, verified? */
HOT_INLINE int native_shortcut_holds(struct native_unwinder *unwinder, const struct native_shortcut *shortcut)
{
    int at = shortcut->outer_at;
    return native_spots_hold(shortcut->spots + 1, shortcut->spot_count - 1) &&
           native_levels_mend_outside(unwinder, at + 1, native_cell_count(&unwinder->levels[at]));
}

/* From now on: with a level that is the stack of this hash it leads to that node. A handler that jumps away in between leaves none. */
HOT_INLINE uint32_t native_shortcut_lead_to(struct native_shortcut *shortcut, uint64_t outer_hash, uint32_t node)
{
    shortcut->outer_hash = 0;
    atomic_signal_fence(memory_order_seq_cst);
    shortcut->node = node;
    atomic_signal_fence(memory_order_seq_cst);
    shortcut->outer_hash = node ? outer_hash : 0; /* 0: it is to be asked for again */
    return node;
}

/* Which stack does it lead to now, where that depends on the Python segments? */
uint32_t native_shortcut_identify_with_segments(struct native_unwinder *unwinder, struct native_shortcut *shortcut);

/* The node of the stack that begins here, if it begins with this shortcut. */
HOT_INLINE uint32_t native_shortcut_take(struct native_unwinder *unwinder, struct native_shortcut *shortcut, const struct native_place *place)
{
    if (!native_shortcut_begins_at(shortcut, place) || !native_shortcut_fits(unwinder, shortcut) || !native_shortcut_holds(unwinder, shortcut))
        return 0;
    shortcut->was_taken = 1;
    native_levels_identify(unwinder, shortcut->outer_at);
    uint64_t hash = unwinder->levels[shortcut->outer_at].hash;
    if (unlikely(shortcut->segments_version != unwinder->segments_version))
        return native_shortcut_identify_with_segments(unwinder, shortcut);
    if (hash == shortcut->outer_hash)
        return shortcut->node;
    if (unlikely(shortcut->segment_at))
        return native_shortcut_identify_with_segments(unwinder, shortcut);
    /* The same inner part of another stack. */
    uint64_t inner = hash;
    for (const struct native_spot *spot = &shortcut->spots[1], *end = &shortcut->spots[shortcut->frame_count]; spot < end; spot++)
        inner = native_memo_hash(inner, spot->address);
    return native_shortcut_lead_to(shortcut, hash, native_memo_find(&unwinder->last_node, native_memo_hash(inner, place->address)));
}

/* The same by any other way than that one of the set that was taken last. 0: the walk has to tell. */
uint32_t native_shortcut_take_other(struct native_unwinder *unwinder, unsigned set, const struct native_place *place);

/* From the level `inner_at`, which is at `place` and has this node, to the level `outer_at`; perhaps. */
void native_shortcut_make(struct native_unwinder *unwinder, unsigned set, const struct native_place *place,
                          int inner_at, int outer_at, uint32_t node);

#endif
