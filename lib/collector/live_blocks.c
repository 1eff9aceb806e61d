/* See live_blocks.h: what is rare enough to be out of line, and mappings. */
#include "live_blocks.h"

#include <string.h>
#include <unistd.h>

#include "event_words.h"

/* pymalloc's are 1 MiB at most: a longer one is a word that somebody wrote over. */
#define MAX_ARENA_BYTES (64ull << 20)
/* No address space is larger; and so much fits into a slot. */
#define MAX_MAPPING_BYTES (1ull << 55)

int live_blocks_init(struct live_blocks *blocks, struct trace_writer *writer)
{
    *blocks = (struct live_blocks){.writer = writer, .page_bytes = (uint64_t)sysconf(_SC_PAGESIZE)};
    mapping_table_init(&blocks->mappings);
    sampling_intervals_init(&blocks->intervals, 0);
    return address_table_init(&blocks->addresses);
}

void live_blocks_done(struct live_blocks *blocks)
{
    address_table_done(&blocks->addresses);
    mapping_table_done(&blocks->mappings);
    sampling_intervals_done(&blocks->intervals);
}

void live_blocks_move(struct live_blocks *blocks, struct trace_writer *writer, const uint32_t *map)
{
    sampling_intervals_renumber(&blocks->intervals, map, trace_writer_slots(blocks->writer)->used_count);
    blocks->writer = writer;
    address_table_renumber(&blocks->addresses, map);
    mapping_table_renumber(&blocks->mappings, map);
    blocks->unknown_frees = 0;
    blocks->overtaken_count = 0;
}

void live_blocks_forget(struct live_blocks *blocks)
{
    struct address_table empty;
    const struct live_slots *slots = trace_writer_slots(blocks->writer);
    /* Without memory it keeps what may be gone: an allocation at the same address finds out. */
    if (slots->live_count == 0 || address_table_init(&empty) != 0)
        return;
    for (uint32_t slot = 0; slot < slots->used_count; slot++)
        if (live_slot_is_live(&slots->slots[slot]))
            trace_writer_free(blocks->writer, slot, 0);
    address_table_done(&blocks->addresses);
    blocks->addresses = empty;
    mapping_table_done(&blocks->mappings);
    mapping_table_init(&blocks->mappings);
    blocks->overtaken_count = 0;
}

static struct freed_block block_in(const struct live_blocks *blocks, uint32_t slot)
{
    const struct live_slots *slots = trace_writer_slots(blocks->writer);
    const struct live_slot *contents = &slots->slots[slot];
    return (struct freed_block){live_slots_size(slots, slot), contents->stack_id, (uint8_t)live_slot_flags(contents),
                                sampling_intervals_of(&blocks->intervals, slot)};
}

static unsigned with_arena_flag(struct live_blocks *blocks, uint64_t address, uint64_t size_bytes, unsigned flags)
{
    struct address_leaf *leaf = flags & TRACE_OBJECT ? address_table_leaf(&blocks->addresses, address) : NULL;
    int is_in_arena = leaf && (address_leaf_is_arena(leaf, address) || size_bytes < blocks->arena_object_bytes);
    return is_in_arena ? flags | TRACE_IN_ARENA : flags;
}

static void remember_slot(struct live_blocks *blocks, uint64_t address, uint32_t slot)
{
    /* Without memory for its address the block can't be found again: better not live than live for ever. */
    if (slot != SLOT_NONE && address_table_insert(&blocks->addresses, address, slot) != 0)
        trace_writer_free(blocks->writer, slot, 0);
}

/* ---- overtaken frees ---- */

static void forget_overtaken(struct live_blocks *blocks, uint32_t index)
{
    blocks->overtaken_count--;
    memmove(&blocks->overtaken[index], &blocks->overtaken[index + 1], (blocks->overtaken_count - index) * sizeof *blocks->overtaken);
}

static void note_overtaken(struct live_blocks *blocks, uint64_t address, const struct freed_block *block,
                           const struct event_origin *overtaker)
{
    if (blocks->overtaken_count == MAX_OVERTAKEN)
        forget_overtaken(blocks, 0);
    blocks->overtaken[blocks->overtaken_count++] = (struct overtaken_free){address, *block, *overtaker};
}

/* Is this deallocation one that was done already when an allocation overtook it? It comes from another thread than the allocation
 * (a thread's own events are never swapped) and was stamped hardly later. */
static int take_overtaken(struct live_blocks *blocks, uint64_t address, const struct event_origin *origin, struct freed_block *ret_block)
{
    for (uint32_t i = 0; i < blocks->overtaken_count && origin->stamped; i++) {
        const struct overtaken_free *overtaken = &blocks->overtaken[i];
        if (overtaken->address != address || overtaken->overtaker.thread == origin->thread ||
            origin->ticks > overtaken->overtaker.ticks + blocks->swap_ticks)
            continue;
        if (ret_block)
            *ret_block = overtaken->block;
        forget_overtaken(blocks, i);
        return 1;
    }
    return 0;
}

void live_blocks_forget_overtaken(struct live_blocks *blocks, uint64_t epoch, uint64_t ticks)
{
    uint64_t longest = (MAX_PUT_OFF + 1) * blocks->swap_ticks;
    for (uint32_t i = blocks->overtaken_count; i-- > 0;) {
        const struct event_origin *overtaker = &blocks->overtaken[i].overtaker;
        if (overtaker->epoch < epoch || (overtaker->epoch == epoch && ticks > longest && overtaker->ticks < ticks - longest))
            forget_overtaken(blocks, i);
    }
}

/* ---- blocks ---- */

void live_blocks_allocate_slowly(struct live_blocks *blocks, uint64_t address, uint64_t size_bytes, uint32_t stack_id, unsigned flags,
                                 const struct event_origin *origin)
{
    uint32_t before = address_table_remove(&blocks->addresses, address);
    if (before != SLOT_NONE) {
        struct freed_block block = block_in(blocks, before);
        trace_writer_free(blocks->writer, before, 0);
        if (origin->stamped)
            note_overtaken(blocks, address, &block, origin);
    }
    flags = with_arena_flag(blocks, address, size_bytes, flags);
    remember_slot(blocks, address, trace_writer_allocate(blocks->writer, size_bytes, stack_id, flags));
}

int live_blocks_free_slowly(struct live_blocks *blocks, uint64_t address, unsigned flags, const struct event_origin *origin,
                            struct freed_block *ret_block)
{
    if (blocks->overtaken_count && take_overtaken(blocks, address, origin, ret_block))
        return 1;
    uint32_t slot = address_table_remove(&blocks->addresses, address);
    if (slot == SLOT_NONE)
        return 0;
    if (ret_block)
        *ret_block = block_in(blocks, slot);
    trace_writer_free(blocks->writer, slot, flags);
    return 1;
}

void live_blocks_note_interval(struct live_blocks *blocks, uint64_t address, uint8_t interval_id)
{
    sampling_intervals_note(&blocks->intervals, address_table_find(&blocks->addresses, address), interval_id);
}

void live_blocks_unknown_free(struct live_blocks *blocks)
{
    if (!blocks->unknown_is_usual)
        trace_writer_unknown_frees(blocks->writer, ++blocks->unknown_frees);
}

void live_blocks_undo_free(struct live_blocks *blocks, uint64_t address, const struct freed_block *block)
{
    uint32_t slot = trace_writer_undo_free(blocks->writer, block->size_bytes, block->stack_id, block->flags);
    sampling_intervals_note(&blocks->intervals, slot, block->interval_id);
    if (address_table_find(&blocks->addresses, address) == SLOT_NONE)
        remember_slot(blocks, address, slot);
}

/* ---- mappings ---- */

/* Take so many bytes from the slot, whose size is what all its pieces make up: it is freed with the last one. */
static void take_bytes(struct live_blocks *blocks, uint32_t slot, uint64_t bytes, unsigned free_flags)
{
    if (bytes >= live_slots_size(trace_writer_slots(blocks->writer), slot))
        trace_writer_free(blocks->writer, slot, free_flags);
    else
        trace_writer_shrink(blocks->writer, slot, bytes);
}

/* Returns how many bytes of known mappings were there. */
static uint64_t unmap(struct live_blocks *blocks, uint64_t address, uint64_t length, unsigned free_flags)
{
    uint64_t in_page = blocks->page_bytes - 1, start = address & ~in_page, end = (address + length + in_page) & ~in_page;
    uint64_t known_bytes = 0;
    if (length > MAX_MAPPING_BYTES)
        return 0;
    struct mapping piece;
    while (mapping_table_cut(&blocks->mappings, start, end, &piece) == 1) {
        if (piece.is_arena && piece.end - piece.start <= MAX_ARENA_BYTES)
            address_table_mark_arena(&blocks->addresses, piece.start, piece.end, 0);
        known_bytes += piece.end - piece.start;
        take_bytes(blocks, piece.slot, piece.end - piece.start, free_flags);
    }
    return known_bytes;
}

static void map(struct live_blocks *blocks, uint64_t address, uint64_t length, uint32_t stack_id, unsigned trace_flags)
{
    if (length == 0 || length > MAX_MAPPING_BYTES)
        return;
    uint32_t slot = trace_writer_allocate(blocks->writer, length, stack_id, trace_flags);
    if (slot == SLOT_NONE)
        return;
    struct mapping mapping = {address, address + length, slot, (trace_flags & TRACE_ARENA) != 0};
    if (mapping_table_add(&blocks->mappings, &mapping) != 0) {
        trace_writer_free(blocks->writer, slot, 0);
        return;
    }
    if (mapping.is_arena && length <= MAX_ARENA_BYTES)
        address_table_mark_arena(&blocks->addresses, address, address + length, 1);
}

void live_blocks_map(struct live_blocks *blocks, uint64_t address, uint64_t length, uint32_t stack_id, unsigned flags)
{
    unmap(blocks, address, length, 0);
    map(blocks, address, length, stack_id, flags & EVENT_MAP_ARENA ? TRACE_ARENA : TRACE_MAPPING);
}

void live_blocks_unmap(struct live_blocks *blocks, uint64_t address, uint64_t length)
{
    unmap(blocks, address, length, 0);
}

void live_blocks_remap(struct live_blocks *blocks, uint64_t old_address, uint64_t old_length, uint64_t address, uint64_t length,
                       uint32_t stack_id, unsigned flags)
{
    uint64_t known_bytes = unmap(blocks, old_address, old_length, TRACE_REALLOC);
    unmap(blocks, address, length, 0);
    if (known_bytes)
        map(blocks, address, length, stack_id, flags & EVENT_MAP_ARENA ? TRACE_ARENA : TRACE_MAPPING | TRACE_REALLOC);
}
