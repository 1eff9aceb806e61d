/* See native_shortcut.h. */
#include "native_shortcut.h"

#include "module_table.h"
#include "native_levels.h"
#include "native_memo.h"

/* Do the Python segments stand where they did: all but the innermost one further out than this, and that one, if ever, at its spot? */
static int segments_fit(const struct native_unwinder *unwinder, const struct native_shortcut *shortcut)
{
    const struct python_segments *segments = unwinder->segments;
    uint32_t outside = unwinder->levels[shortcut->outer_at].segment_end, at = shortcut->segment_at;
    if (!at)
        return outside == segments->count;
    if (python_segments_are_counted(segments))
        return outside + 1 == segments->count;
    uint64_t low = at < shortcut->frame_count ? shortcut->spots[at].stack : shortcut->place.stack;
    return outside + 1 == segments->count && segments->list[outside].address - low < shortcut->spots[at - 1].stack - low;
}

/* The hash of the whole stack. */
static uint64_t hash_of(const struct native_unwinder *unwinder, const struct native_shortcut *shortcut, uint64_t hash)
{
    for (int i = 1; i <= shortcut->frame_count; i++) {
        uint64_t address = i < shortcut->frame_count ? shortcut->spots[i].address : shortcut->place.address;
        hash = i == shortcut->segment_at ? native_segment_hash(hash, &unwinder->segments->list[unwinder->segments->count - 1])
                                         : native_memo_hash(hash, address);
    }
    return hash;
}

uint32_t native_shortcut_identify_with_segments(struct native_unwinder *unwinder, struct native_shortcut *shortcut)
{
    uint64_t hash = unwinder->levels[shortcut->outer_at].hash;
    uint32_t node = shortcut->node;
    if (!segments_fit(unwinder, shortcut))
        return 0;
    if (hash != shortcut->outer_hash || shortcut->segment_at)
        node = native_memo_find(&unwinder->last_node, hash_of(unwinder, shortcut, hash));
    shortcut->outer_hash = 0;
    atomic_signal_fence(memory_order_seq_cst);
    shortcut->segments_version = unwinder->segments_version;
    return native_shortcut_lead_to(shortcut, hash, node);
}

uint32_t native_shortcut_take_other(struct native_unwinder *unwinder, unsigned set, const struct native_place *place)
{
    for (uint32_t way = 0; way < NATIVE_SHORTCUT_WAYS; way++) {
        uint32_t node = way != unwinder->turns[set].first ? native_shortcut_take(unwinder, &unwinder->shortcuts[set][way], place) : 0;
        if (node) {
            unwinder->turns[set].first = way;
            return node;
        }
    }
    return 0;
}

/* The way whose turn it is to be replaced; NULL: it has been of use since the last time. */
static struct native_shortcut *victim_of(struct native_unwinder *unwinder, unsigned set)
{
    struct native_shortcut *victim = &unwinder->shortcuts[set][unwinder->turns[set].next++ % NATIVE_SHORTCUT_WAYS];
    if (!victim->place.stack)
        return victim;
    if (victim->was_taken) {
        victim->was_taken = victim->idle_count = 0;
        return NULL;
    }
    return ++victim->idle_count >= NATIVE_SHORTCUT_PATIENCE ? victim : NULL;
}

void native_shortcut_make(struct native_unwinder *unwinder, unsigned set, const struct native_place *place,
                          int inner_at, int outer_at, uint32_t node)
{
    struct native_shortcut *shortcut = victim_of(unwinder, set);
    if (!shortcut)
        return;
    int count = 0;
    uint32_t greenlet = atomic_load_explicit(&module_table_greenlet, memory_order_relaxed);
    const struct native_level *inner = &unwinder->levels[inner_at], *outer = &unwinder->levels[outer_at];
    uint32_t cells_end = native_cell_count(inner), cell = native_cell_count(outer);
    /* A handler that jumps away in between must leave none that isn't whole. */
    shortcut->place.stack = 0;
    shortcut->was_taken = shortcut->idle_count = 0;
    atomic_signal_fence(memory_order_seq_cst);
    if (!unwinder->meetable || inner_at - outer_at + (int)(cells_end - cell) > NATIVE_SHORTCUT_SPOTS)
        return;
    shortcut->segment_at = 0;
    for (int at = outer_at; at < inner_at; at++) {
        const struct native_level *level = &unwinder->levels[at + 1];
        if (level->detail.row.module == CFI_MODULE_OWN || level->detail.row.module == greenlet)
            return; /* no part of the hash; whether the stack goes on further out depends on the Python segments (native_unwind.c) */
        if (level->segment_end != level[-1].segment_end) {
            if (level->segment_end != level[-1].segment_end + 1 || shortcut->segment_at)
                return;
            shortcut->segment_at = (uint8_t)(at + 1 - outer_at);
        }
        shortcut->spots[count++] = unwinder->spots[at];
    }
    shortcut->frame_count = (uint8_t)count;
    for (; cell < cells_end; cell++)
        shortcut->spots[count++] = (struct native_spot){unwinder->cells[cell].address + 8, unwinder->cells[cell].value};
    shortcut->spot_count = (uint8_t)count;
    shortcut->outer_frame_pointer = outer->detail.frame_pointer;
    shortcut->outer_at = outer_at;
    shortcut->outer_hash = outer->hash;
    shortcut->segments_version = unwinder->segments_version;
    shortcut->node = node;
    shortcut->needs_frame_pointer = (uint8_t)native_needs_frame_pointer(inner);
    shortcut->outer_needs_frame_pointer = (uint8_t)native_needs_frame_pointer(outer);
    shortcut->place.address = place->address;
    shortcut->place.frame_pointer = place->frame_pointer;
    atomic_signal_fence(memory_order_seq_cst);
    shortcut->place.stack = place->stack;
}
