/* See native_shortcut.h. */
#include "native_shortcut.h"

#include "module_table.h"
#include "native_memo.h"

/* Does it lead to a level that stands where it did? */
static int fits(const struct native_unwinder *unwinder, const struct native_shortcut *shortcut)
{
    const struct native_spot *spot = &unwinder->spots[shortcut->outer_at];
    const struct native_level *level = &unwinder->levels[shortcut->outer_at];
    if (shortcut->outer_at >= unwinder->level_count || shortcut->spots[0].stack != spot->stack || shortcut->spots[0].address != spot->address ||
        unwinder->signal_level != NATIVE_NO_LEVEL)
        return 0;
    return native_needs_frame_pointer(level) == shortcut->outer_needs_frame_pointer &&
           (!shortcut->outer_needs_frame_pointer || level->detail.frame_pointer == shortcut->outer.frame_pointer);
}

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

/* One that isn't current. */
static uint32_t take(struct native_unwinder *unwinder, struct native_shortcut *shortcut)
{
    if (!fits(unwinder, shortcut) || !segments_fit(unwinder, shortcut) || !native_shortcut_is_verified(unwinder, shortcut))
        return 0;
    const struct native_level *outer = &unwinder->levels[shortcut->outer_at];
    shortcut->was_taken = 1;
    if (outer->hash != shortcut->outer_hash || (shortcut->segment_at && shortcut->segments_version != unwinder->segments_version)) {
        /* The same inner part of another stack. */
        shortcut->outer_hash = outer->hash;
        shortcut->node = native_memo_find(&unwinder->last_node, hash_of(unwinder, shortcut, outer->hash));
    }
    shortcut->segments_version = unwinder->segments_version;
    shortcut->outer_stamp = shortcut->node ? outer->stamp : 0;
    return shortcut->node;
}

uint32_t native_shortcut_take(struct native_unwinder *unwinder, struct native_shortcut_set *set, const struct native_place *place)
{
    for (uint32_t way = 0; way < NATIVE_SHORTCUT_WAYS; way++) {
        struct native_shortcut *shortcut = &set->ways[way];
        uint32_t node = 0;
        if (!native_shortcut_begins_at(shortcut, place))
            continue;
        if (!native_shortcut_is_current(unwinder, shortcut))
            node = take(unwinder, shortcut);
        else if (way != set->first)
            node = native_shortcut_take_again(unwinder, shortcut, place);
        if (node) {
            set->first = way;
            return node;
        }
    }
    return 0;
}

/* The way whose turn it is to be replaced; NULL: it has been of use since the last time. */
static struct native_shortcut *victim_of(struct native_shortcut_set *set)
{
    struct native_shortcut *victim = &set->ways[set->next++ % NATIVE_SHORTCUT_WAYS];
    if (!victim->place.stack)
        return victim;
    if (victim->was_taken) {
        victim->was_taken = victim->idle_count = 0;
        return NULL;
    }
    return ++victim->idle_count >= NATIVE_SHORTCUT_PATIENCE ? victim : NULL;
}

void native_shortcut_make(const struct native_unwinder *unwinder, struct native_shortcut_set *set, const struct native_place *place,
                          int inner_at, int outer_at, uint32_t node)
{
    struct native_shortcut *shortcut = victim_of(set);
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
    if (unwinder->signal_level != NATIVE_NO_LEVEL || unwinder->is_truncated || inner_at - outer_at + (int)(cells_end - cell) > NATIVE_SHORTCUT_SPOTS)
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
    shortcut->outer = outer->detail;
    shortcut->outer_at = outer_at;
    shortcut->outer_hash = outer->hash;
    shortcut->outer_stamp = outer->stamp;
    shortcut->segments_version = unwinder->segments_version;
    shortcut->node = node;
    shortcut->needs_frame_pointer = (uint8_t)native_needs_frame_pointer(inner);
    shortcut->outer_needs_frame_pointer = (uint8_t)native_needs_frame_pointer(outer);
    shortcut->place.address = place->address;
    shortcut->place.frame_pointer = place->frame_pointer;
    atomic_signal_fence(memory_order_seq_cst);
    shortcut->place.stack = place->stack;
}
