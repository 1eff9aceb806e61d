/* The live set as an array: slot -> size, stack, flags. The encoder and the decoder each keep one and assign slots by the
 * same rule (the most recently freed slot first, else a new one), so that the trace need not name an allocation's slot.
 * 12 bytes a live block; the few sizes that don't fit there stand in a hash table. One thread. Allocates (grows by doubling). */
#ifndef HEAPLINE_TRACE_LIVE_SLOTS_H
#define HEAPLINE_TRACE_LIVE_SLOTS_H

#include <stdint.h>

#include "compiler.h"

#define SLOT_SIZE_BITS 24
#define SLOT_SIZE_LARGE ((1u << SLOT_SIZE_BITS) - 1) /* instead of the size: it is in the table of large ones */
#define SLOT_NONE 0xffffffffu
#define SLOT_FREE 0xffffffffu

struct live_slot {
    uint32_t size_and_flags; /* size in the low 24 bits, enum trace_allocation_flag above; SLOT_FREE */
    uint32_t stack_id;       /* free: the next free slot */
    uint32_t sequence;       /* low 32 bits of the number of allocations before this one */
};

struct large_size {
    uint64_t size_bytes;
    uint32_t slot; /* SLOT_NONE: nobody's place */
};

struct live_slots {
    struct live_slot *slots;
    uint32_t used_count;     /* slots below it have been assigned at least once */
    uint32_t capacity;
    uint32_t first_free;     /* SLOT_NONE: none */
    uint32_t live_count;
    struct large_size *large; /* open addressing */
    uint32_t large_count, large_capacity;
};

static inline unsigned live_slot_flags(const struct live_slot *slot)
{
    return slot->size_and_flags >> SLOT_SIZE_BITS;
}

static inline void live_slot_set_flags(struct live_slot *slot, unsigned flags)
{
    slot->size_and_flags = (slot->size_and_flags & SLOT_SIZE_LARGE) | flags << SLOT_SIZE_BITS;
}

static inline int live_slot_is_live(const struct live_slot *slot)
{
    return slot->size_and_flags != SLOT_FREE;
}

static inline int live_slot_is_large(const struct live_slot *slot)
{
    return (slot->size_and_flags & SLOT_SIZE_LARGE) == SLOT_SIZE_LARGE;
}

void live_slots_init(struct live_slots *slots);
void live_slots_done(struct live_slots *slots);

/* Make room for one more slot. Returns 0, or -1 without memory or past 2^32 - 2 live blocks; the table is then unchanged. */
COLD int live_slots_grow(struct live_slots *slots);

/* The table of large sizes: look up, enter (0, or -1 without memory), forget. */
COLD uint64_t live_slots_large(const struct live_slots *slots, uint32_t slot);
COLD int live_slots_add_large(struct live_slots *slots, uint32_t slot, uint64_t size_bytes);
COLD void live_slots_remove_large(struct live_slots *slots, uint32_t slot);

/* Link the free slots anew, the lowest to be assigned first, and forget those behind the last live one: what comes out depends on the live
 * slots alone. */
void live_slots_relink(struct live_slots *slots);
/* Make a slot live that is not below used_count; those before it are free, to be linked when all are restored. Returns 0, or -1 without memory. */
int live_slots_restore(struct live_slots *slots, uint32_t slot, uint64_t size_bytes, unsigned flags, uint32_t stack_id, uint32_t sequence);

/* Of a live slot. */
HOT_INLINE uint64_t live_slots_size(const struct live_slots *slots, uint32_t slot)
{
    const struct live_slot *of = &slots->slots[slot];
    return unlikely(live_slot_is_large(of)) ? live_slots_large(slots, slot) : of->size_and_flags & SLOT_SIZE_LARGE;
}

/* Less by so much, at most all of it. */
void live_slots_shrink(struct live_slots *slots, uint32_t slot, uint64_t bytes);

/* Assign a slot. Returns SLOT_NONE without memory; the table is then unchanged. flags < 0xff. */
HOT_INLINE uint32_t live_slots_take(struct live_slots *slots, uint64_t size_bytes, unsigned flags, uint32_t stack_id,
                                    uint32_t sequence)
{
    uint32_t slot = slots->first_free, size = (uint32_t)size_bytes;
    if (unlikely(slot == SLOT_NONE && slots->used_count == slots->capacity) && live_slots_grow(slots))
        return SLOT_NONE;
    if (unlikely(size_bytes >= SLOT_SIZE_LARGE)) {
        if (live_slots_add_large(slots, slot != SLOT_NONE ? slot : slots->used_count, size_bytes))
            return SLOT_NONE;
        size = SLOT_SIZE_LARGE;
    }
    if (slot != SLOT_NONE) {
        slots->first_free = slots->slots[slot].stack_id;
        /* The next allocation's slot may have been free for long. (Behind the last one, the address is never read.) */
        __builtin_prefetch(&slots->slots[slots->first_free], 1);
    } else {
        slot = slots->used_count++;
    }
    slots->slots[slot] = (struct live_slot){size | flags << SLOT_SIZE_BITS, stack_id, sequence};
    slots->live_count++;
    return slot;
}

/* Release a live slot. Undefined for one that isn't live: check first when the number comes from a file. */
HOT_INLINE void live_slots_release(struct live_slots *slots, uint32_t slot)
{
    struct live_slot *released = &slots->slots[slot];
    if (unlikely(live_slot_is_large(released)))
        live_slots_remove_large(slots, slot);
    released->size_and_flags = SLOT_FREE;
    released->stack_id = slots->first_free;
    slots->first_free = slot;
    slots->live_count--;
}

#endif
