/* Applies allocations and deallocations, which name addresses, to the trace, which names slots.
 *
 * Consumes events in their total order; produces calls of the trace writer. Keeps the address table and the mapping table.
 *
 * Repair. An allocation's stamp can be some ten nanoseconds early (clock.h): by less than two events of one block take, and never by as
 * much as SWAP_NS; a deallocation's isn't. Then the order of a deallocation and the allocation that got its address next may be wrong. Per address the two
 * alternate, which tells:
 *   an allocation at a live address   it has overtaken the deallocation of the block before, by another thread. That one certainly came
 *                                     first: it is done now, and the deallocation is skipped when it arrives (struct overtaken_free).
 *   a deallocation of nothing         it may have overtaken its allocation, by another thread: event_stream.c puts it off by SWAP_NS, and
 *                                     again, since that thread may be put off itself. What is unknown in the end had been allocated
 *                                     before recording began.
 * Outside parallel epochs there are no stamps and nothing can be swapped. Mappings need no repair: between the stamps of an unmapping and
 * of the next mapping lie two system calls.
 * One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_LIVE_BLOCKS_H
#define HEAPLINE_COLLECTOR_LIVE_BLOCKS_H

#include "address_table.h"
#include "mapping_table.h"
#include "sampling_intervals.h"
#include "trace_writer.h"

#define SWAP_NS 5000
#define MAX_PUT_OFF 4
#define MAX_OVERTAKEN 64

/* Who did an event, and when. */
struct event_origin {
    uint32_t thread;  /* slot */
    uint32_t stamped; /* the epoch is a parallel one */
    uint64_t epoch, ticks;
};

/* A block as it was when it was freed. */
struct freed_block {
    uint64_t size_bytes;
    uint32_t stack_id;
    uint8_t flags, interval_id;
};

struct overtaken_free {
    uint64_t address;
    struct freed_block block;
    struct event_origin overtaker;
};

struct live_blocks {
    struct trace_writer *writer;
    struct address_table addresses;
    struct mapping_table mappings;
    struct sampling_intervals intervals;
    int unknown_is_usual; /* deallocations are seen of blocks that a sample has left out: they are no sign of anything */
    uint64_t unknown_frees;
    uint64_t swap_ticks; /* SWAP_NS in ticks of the event clock */
    uint64_t page_bytes;
    uint32_t arena_object_bytes; /* see session.h */
    uint32_t overtaken_count;
    struct overtaken_free overtaken[MAX_OVERTAKEN]; /* oldest first */
};

/* Returns 0 or STATUS_NO_MEMORY. The writer stays the caller's. */
int live_blocks_init(struct live_blocks *blocks, struct trace_writer *writer);
void live_blocks_done(struct live_blocks *blocks);
/* Go on with another writer, in which slots have other numbers: map[old] = new. */
void live_blocks_move(struct live_blocks *blocks, struct trace_writer *writer, const uint32_t *map);

/* Nothing is live any more. */
void live_blocks_forget(struct live_blocks *blocks);

COLD void live_blocks_allocate_slowly(struct live_blocks *blocks, uint64_t address, uint64_t size_bytes, uint32_t stack_id, unsigned flags,
                                      const struct event_origin *origin);
COLD int live_blocks_free_slowly(struct live_blocks *blocks, uint64_t address, unsigned flags, const struct event_origin *origin,
                                 struct freed_block *ret_block);
/* All events up to this key have been taken. */
COLD void live_blocks_forget_overtaken(struct live_blocks *blocks, uint64_t epoch, uint64_t ticks);
/* The block at this address was taken by this interval. */
void live_blocks_note_interval(struct live_blocks *blocks, uint64_t address, uint8_t interval_id);
/* Count a deallocation that found nothing. */
COLD void live_blocks_unknown_free(struct live_blocks *blocks);
/* The block that live_blocks_free freed at this address is live after all. */
COLD void live_blocks_undo_free(struct live_blocks *blocks, uint64_t address, const struct freed_block *block);

/* flags: enum event_map_flag. Whatever was mapped there is unmapped first. */
void live_blocks_map(struct live_blocks *blocks, uint64_t address, uint64_t length, uint32_t stack_id, unsigned flags);
void live_blocks_unmap(struct live_blocks *blocks, uint64_t address, uint64_t length);
/* mremap: a deallocation and an allocation. What had not been mapped before our eyes stays unknown (a file's mapping). */
void live_blocks_remap(struct live_blocks *blocks, uint64_t old_address, uint64_t old_length, uint64_t address, uint64_t length,
                       uint32_t stack_id, unsigned flags);

/* flags: TRACE_OBJECT, TRACE_REALLOC. */
HOT_INLINE void live_blocks_allocate(struct live_blocks *blocks, uint64_t address, uint64_t size_bytes, uint32_t stack_id, unsigned flags,
                                     const struct event_origin *origin)
{
    struct address_leaf *leaf = address_table_leaf(&blocks->addresses, address);
    uint32_t *entry = leaf ? address_leaf_entry(leaf, address) : NULL;
    if (unlikely(!leaf || *entry != 0 || leaf->overflow_count || (address & 7))) {
        live_blocks_allocate_slowly(blocks, address, size_bytes, stack_id, flags, origin);
        return;
    }
    if (flags & TRACE_OBJECT && (address_leaf_is_arena(leaf, address) || size_bytes < blocks->arena_object_bytes))
        flags |= TRACE_IN_ARENA;
    uint32_t slot = trace_writer_allocate(blocks->writer, size_bytes, stack_id, flags);
    if (unlikely(slot > ADDRESS_MAX_SLOT))
        return;
    *entry = address_entry_value(address, slot);
    leaf->live_count++;
}

/* Returns 1, or 0: nothing is live there. flags: TRACE_REALLOC or 0. ret_block may be NULL. */
HOT_INLINE int live_blocks_free(struct live_blocks *blocks, uint64_t address, unsigned flags, const struct event_origin *origin,
                                struct freed_block *ret_block)
{
    struct address_leaf *leaf = address_table_leaf(&blocks->addresses, address);
    uint32_t *entry = leaf ? address_leaf_entry(leaf, address) : NULL;
    uint32_t slot = leaf ? address_entry_slot(*entry, address) : SLOT_NONE;
    if (unlikely(slot > ADDRESS_MAX_SLOT || (address & 7) || blocks->overtaken_count || ret_block))
        return live_blocks_free_slowly(blocks, address, flags, origin, ret_block);
    *entry = 0;
    leaf->live_count--;
    trace_writer_free(blocks->writer, slot, flags);
    return 1;
}

#endif
