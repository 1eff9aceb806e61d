/* The live set as an array: slot -> size, stack, flags. The encoder and the decoder each keep one and assign slots by the
 * same rule (the most recently freed slot first, else a new one), so that the trace need not name an allocation's slot.
 * 16 bytes a live block. One thread. Allocates (grows by doubling). */
#ifndef HEAPLINE_TRACE_LIVE_SLOTS_H
#define HEAPLINE_TRACE_LIVE_SLOTS_H

#include <stdint.h>

#include "compiler.h"

#define SLOT_SIZE_BITS 56
#define SLOT_NONE 0xffffffffu

struct live_slot {
    uint64_t size_and_flags; /* size in the low 56 bits, enum trace_allocation_flag above; free: all ones */
    uint32_t stack_id;       /* free: the next free slot */
    uint32_t sequence;       /* low 32 bits of the number of allocations before this one */
};

struct live_slots {
    struct live_slot *slots;
    uint32_t used_count;     /* slots below it have been assigned at least once */
    uint32_t capacity;
    uint32_t first_free;     /* SLOT_NONE: none */
    uint32_t live_count;
};

static inline uint64_t live_slot_size(const struct live_slot *slot)
{
    return slot->size_and_flags & ((1ull << SLOT_SIZE_BITS) - 1);
}

static inline unsigned live_slot_flags(const struct live_slot *slot)
{
    return (unsigned)(slot->size_and_flags >> SLOT_SIZE_BITS);
}

static inline int live_slot_is_live(const struct live_slot *slot)
{
    return slot->size_and_flags != ~0ull;
}

void live_slots_init(struct live_slots *slots);
void live_slots_done(struct live_slots *slots);

/* Make room for one more slot. Returns 0, or -1 without memory or past 2^32 - 2 live blocks; the table is then unchanged. */
COLD int live_slots_grow(struct live_slots *slots);

/* Assign a slot. Returns SLOT_NONE where live_slots_grow fails; the table is then unchanged. size_bytes < 2^56, flags < 0xff. */
HOT_INLINE uint32_t live_slots_take(struct live_slots *slots, uint64_t size_bytes, unsigned flags, uint32_t stack_id,
                                    uint32_t sequence)
{
    uint32_t slot = slots->first_free;
    if (slot != SLOT_NONE) {
        slots->first_free = slots->slots[slot].stack_id;
        /* The next allocation's slot may have been free for long. (Behind the last one, the address is never read.) */
        __builtin_prefetch(&slots->slots[slots->first_free], 1);
    } else {
        if (unlikely(slots->used_count == slots->capacity) && live_slots_grow(slots))
            return SLOT_NONE;
        slot = slots->used_count++;
    }
    slots->slots[slot] = (struct live_slot){size_bytes | (uint64_t)flags << SLOT_SIZE_BITS, stack_id, sequence};
    slots->live_count++;
    return slot;
}

/* Release a live slot. Undefined for one that isn't live: check first when the number comes from a file. */
HOT_INLINE void live_slots_release(struct live_slots *slots, uint32_t slot)
{
    slots->slots[slot].size_and_flags = ~0ull;
    slots->slots[slot].stack_id = slots->first_free;
    slots->first_free = slot;
    slots->live_count--;
}

#endif
