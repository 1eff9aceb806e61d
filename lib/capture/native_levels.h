/* The kept levels: where a stack meets them, which stack each is, and what becomes of them when return addresses change.
 *
 * What a stack changes most is return addresses: a function goes on and calls the next one, from a frame that is as large as before. Where the
 * row of the new address is that of the old one, the level is mended: it leads to where it led to, and so do all others. A recursion that
 * goes up and down a tree keeps all its levels that way; nothing is walked.
 *
 * Mended levels, and all inside of them, are other stacks. That is found out when somebody asks (identified).
 * A signal handler may interrupt this and jump away: at each instant, what counts as kept or as identified is. */
#ifndef HEAPLINE_CAPTURE_NATIVE_LEVELS_H
#define HEAPLINE_CAPTURE_NATIVE_LEVELS_H

#include <stdatomic.h>

#include "native_memo.h"
#include "native_nodes.h"
#include "native_unwinder.h"

/* ---- which stack a level is ---- */

/* Of a level whose code is known to be something else than the program's. Returns where the segments end that it and all outside stand for:
 * beyond their number, if there are more loops than segments. */
COLD uint32_t native_levels_set_special_hash(const struct python_segments *segments, uint64_t address, struct native_level *level);

/* Of a level that stands for these segments. */
uint64_t native_levels_graft_hash(const struct python_segments *segments, uint32_t first, uint32_t end, uint64_t hash);

/* Which segments this level stands for, its hash, and that nobody has asked for its node. */
HOT_INLINE void native_levels_set_identity(const struct python_segments *segments, const struct native_spot *spot, struct native_level *level)
{
    const struct native_level *outer = level - 1;
    uint32_t end = outer->segment_end;
    if (end < segments->count && segments->list[end].address >= spot->stack) {
        end = native_segments_outside(segments, end, spot->stack);
        level->hash = native_levels_graft_hash(segments, outer->segment_end, end, outer->hash);
    } else if (unlikely(level->detail.row.module >= CFI_MODULE_SPECIAL)) {
        end = native_levels_set_special_hash(segments, spot->address, level);
    } else {
        level->hash = native_memo_hash(outer->hash, spot->address);
    }
    level->segment_end = end;
    level->node = 0;
}

/* Level `at` and all outside of it. */
HOT_INLINE void native_levels_identify(struct native_unwinder *unwinder, int at)
{
    const struct python_segments *segments = unwinder->segments;
    int first = unwinder->identified;
    struct native_level *level = &unwinder->levels[first], *last = &unwinder->levels[at];
    const struct native_spot *spot = &unwinder->spots[first];
    while (level <= last) {
        uint64_t hash = level[-1].hash;
        uint32_t end = level[-1].segment_end, count = segments->count;
        /* Of most, only the code is to be told. */
        for (; level <= last && end == count && likely(level->detail.row.module < CFI_MODULE_SPECIAL); level++, spot++) {
            hash = native_memo_hash(hash, spot->address);
            level->hash = hash;
            level->node = 0;
            level->segment_end = end;
        }
        if (level <= last)
            native_levels_set_identity(segments, spot++, level++);
    }
    atomic_signal_fence(memory_order_seq_cst);
    if (at >= first)
        unwinder->identified = at + 1;
}

/* Asks the stack table for this level and all outside of it that nobody has asked for. 0: a node can't be defined. */
uint32_t native_levels_find_node(struct native_unwinder *unwinder, int at);

/* The stack that ends with this level, which is identified. */
HOT_INLINE uint32_t native_levels_node(struct native_unwinder *unwinder, int at)
{
    struct native_level *level = &unwinder->levels[at];
    if (!level->node)
        level->node = native_memo_find(&unwinder->last_node, level->hash);
    return likely(level->node) ? level->node : native_levels_find_node(unwinder, at);
}

/* ---- making them ---- */

/* Puts the fresh frames on top of the first `kept` levels. */
void native_levels_push(struct native_unwinder *unwinder, int32_t kept, int32_t fresh_count);

/* All levels are new. The last fresh frame has no caller; a zero at `end_cell` says so, or (0) its row. Or its caller isn't known (is_cut), perhaps
 * for lack of room (is_truncated). */
void native_levels_make(struct native_unwinder *unwinder, int32_t fresh_count, uint64_t end_cell, int is_cut, int is_truncated);

/* Python segments have changed, from the first of them or from `steady` on: the levels that stand for them and all inside are other stacks. */
void native_levels_follow_segments(struct native_unwinder *unwinder);

/* ---- changed return addresses ---- */

/* The level's return address is this one now. 0: its way is another one then. */
HOT_INLINE int native_levels_mend(struct native_unwinder *unwinder, struct native_spot *spot, struct native_level *level, uint64_t address)
{
    const struct cfi_row *row = cfi_cache_find(&unwinder->rows, address);
    int at = (int)(spot - unwinder->spots);
    if (unlikely(!cfi_rows_are_equal(row, &level->detail.row)) || unlikely(!cfi_row_is_plain(row)))
        return 0;
    if (at < unwinder->identified)
        unwinder->identified = at;
    atomic_signal_fence(memory_order_seq_cst);
    spot->address = address;
    return 1;
}

HOT_INLINE int native_levels_mend_from_stack(struct native_unwinder *unwinder, struct native_spot *spot)
{
    uint64_t address = *(const uint64_t *)(uintptr_t)(spot->stack - 8);
    return address == spot->address || native_levels_mend(unwinder, spot, &unwinder->levels[spot - unwinder->spots], address);
}

HOT_INLINE int native_levels_mend_four(struct native_unwinder *unwinder, struct native_spot *spot)
{
    return likely(!native_four_spots_difference(spot)) ||
           (native_levels_mend_from_stack(unwinder, &spot[0]) && native_levels_mend_from_stack(unwinder, &spot[1]) &&
            native_levels_mend_from_stack(unwinder, &spot[2]) && native_levels_mend_from_stack(unwinder, &spot[3]));
}

/* Mends what must be for the first so many levels to be what the stack says, and looks at so many cells. 0: more has changed than can be mended. */
HOT_INLINE int native_levels_mend_outside(struct native_unwinder *unwinder, int count, uint32_t cell_count)
{
    struct native_spot *spot = unwinder->spots, *end = spot + count;
    if (likely(count >= 4)) {
        /* The last four perhaps over some that were looked at already. */
        for (; spot < end - 4; spot += 4)
            if (!native_levels_mend_four(unwinder, spot))
                return 0;
        if (!native_levels_mend_four(unwinder, end - 4))
            return 0;
    } else {
        for (; spot < end; spot++)
            if (!native_levels_mend_from_stack(unwinder, spot))
                return 0;
    }
    return likely(!cell_count) || native_cells_hold(unwinder->cells, cell_count);
}

/* Does this level stand here, mended where need be? Then it is verified and identified. */
HOT_INLINE int native_levels_meet(struct native_unwinder *unwinder, int at, const struct native_place *place)
{
    struct native_spot *spot = &unwinder->spots[at];
    struct native_level *level = &unwinder->levels[at];
    if (at >= unwinder->meetable || spot->stack != place->stack ||
        (unlikely(native_needs_frame_pointer(level)) && level->detail.frame_pointer != place->frame_pointer) ||
        (spot->address != place->address && !native_levels_mend(unwinder, spot, level, place->address)) ||
        !native_levels_mend_outside(unwinder, at, native_cell_count(level)))
        return 0;
    native_levels_identify(unwinder, at);
    return likely(level->segment_end == unwinder->segments->count);
}

/* The level with this stack pointer; -1: there is none. */
int native_levels_find(struct native_unwinder *unwinder, uint64_t stack);

#endif
