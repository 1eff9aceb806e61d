/* Asks for the memory that a thread's next events will touch, before they touch it.
 *
 * With many live blocks an event costs two cache misses, one after the other: the address table's entry, and the slot that the entry names.
 * So the ring is read two batches ahead of the events that are being taken: for the batch after the next one entries are asked for; for the
 * next one, whose entries have arrived, slots. Nothing is changed and nothing depends on it; it may stop anywhere.
 *
 * It pays only where blocks are freed that have not been touched for long. While there are none (most programs, most of the time: blocks die
 * young) it rests. */
#ifndef HEAPLINE_COLLECTOR_LOOK_AHEAD_H
#define HEAPLINE_COLLECTOR_LOOK_AHEAD_H

#include "event_words.h"
#include "live_blocks.h"

/* The best of 4 to 48: larger ones want more misses at once than a core keeps track of. */
#define LOOK_AHEAD_BATCH 12
/* Batches to begin with: for the first of them it is too late. */
#define LOOK_AHEAD_LEAD 3
/* Below so many live blocks all of it is in the cache anyway. */
#define LOOK_AHEAD_LIVE_BLOCKS 50000
/* So many batches in a row without an old block's end, and it rests. */
#define LOOK_AHEAD_PATIENCE 4

struct look_ahead {
    uint64_t position;  /* the first word that was not looked at */
    uint64_t far_frees; /* as the writer had counted them at the last batch */
    uint32_t steps_left; /* until the next batch */
    uint32_t patience;
    uint32_t count;
    const uint32_t *entries[LOOK_AHEAD_BATCH]; /* of the blocks that the last batch looked at frees */
};

/* Words of an event, 0: not one to look beyond. */
static const uint8_t look_ahead_words[256] = {
    [EVENT_RUN] = 2, [EVENT_STAMP] = 1, [EVENT_THREAD] = 1, [EVENT_ALLOCATE] = 2, [EVENT_ALLOCATE_BIG] = 3, [EVENT_ALLOCATE_OBJECT] = 2,
    [EVENT_ALLOCATE_OBJECT_BIG] = 3, [EVENT_FREE] = 1, [EVENT_REALLOC_BEGIN] = 1, [EVENT_REALLOC_END] = 2, [EVENT_REALLOC_END_BIG] = 3,
    [EVENT_REALLOC_END_OBJECT] = 2, [EVENT_REALLOC_END_OBJECT_BIG] = 3, [EVENT_REALLOC_FAILED] = 1, [EVENT_COPY] = 2, [EVENT_MAP] = 3,
    [EVENT_UNMAP] = 2, [EVENT_REALLOC_PASSED] = 3, [EVENT_REMAP] = 5,
};

/* Entries don't outlive a drain (address_table_trim). */
static inline void look_ahead_reset(struct look_ahead *ahead, uint64_t position)
{
    ahead->position = position;
    ahead->steps_left = 1;
    ahead->count = 0;
}

/* Is it worth while? Asked once a batch. */
static inline int look_ahead_pays(struct look_ahead *ahead, const struct trace_writer *writer)
{
    uint64_t far_frees = trace_writer_far_frees(writer);
    if (far_frees != ahead->far_frees && trace_writer_slots(writer)->live_count >= LOOK_AHEAD_LIVE_BLOCKS)
        ahead->patience = LOOK_AHEAD_PATIENCE;
    else if (ahead->patience > 0)
        ahead->patience--;
    ahead->far_frees = far_frees;
    return ahead->patience > 0;
}

/* One batch more; end: a word in the same lap of the ring, or its end. Branches only where the ring ends: the kinds of events come in no
 * order that a processor could learn. Asking for memory that is nobody's does no harm: an entry is always within its leaf. */
static inline void look_ahead_batch(struct look_ahead *ahead, const struct live_blocks *blocks, const uint64_t *all_words, uint64_t end)
{
    const struct live_slot *slots = trace_writer_slots(blocks->writer)->slots;
    uint64_t position = ahead->position;
    uint32_t count = 0;
    for (uint32_t i = 0; i < ahead->count; i++)
        __builtin_prefetch(slots + (*ahead->entries[i] << (32 - ADDRESS_SLOT_BITS) >> (32 - ADDRESS_SLOT_BITS)) - 1, 1);
    for (uint32_t step = 0; step < LOOK_AHEAD_BATCH && position < end; step++) {
        uint64_t word = all_words[position], address = EVENT_PAYLOAD(word);
        struct address_leaf *leaf = blocks->addresses.cache[(address >> ADDRESS_LEAF_SHIFT) % ADDRESS_CACHE_LEAVES];
        const uint32_t *entry = address_leaf_entry(leaf, address);
        enum event_opcode opcode = EVENT_OPCODE(word);
        if (unlikely(look_ahead_words[opcode] == 0))
            break;
        position += look_ahead_words[opcode];
        __builtin_prefetch(entry, 1);
        ahead->entries[count] = entry;
        count += opcode == EVENT_FREE;
    }
    ahead->count = count;
    ahead->position = position;
}

#endif
