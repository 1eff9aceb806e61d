/* The growing half of the live set (live_slots.h), and its large sizes (linear probing, deletion by moving back). One thread; allocates. */
#include "live_slots.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FIRST_CAPACITY 1024u
#define FIRST_LARGE_CAPACITY 64u

void live_slots_init(struct live_slots *slots)
{
    *slots = (struct live_slots){.first_free = SLOT_NONE};
}

void live_slots_done(struct live_slots *slots)
{
    if (slots->slots)
        munmap(slots->slots, slots->capacity * sizeof *slots->slots);
    free(slots->large);
    live_slots_init(slots);
}

int live_slots_grow(struct live_slots *slots)
{
    uint64_t capacity = slots->capacity ? 2ull * slots->capacity : FIRST_CAPACITY;
    if (capacity > SLOT_NONE)
        capacity = SLOT_NONE; /* slots are numbered below SLOT_NONE */
    if (capacity == slots->capacity)
        return -1;
    size_t bytes = capacity * sizeof *slots->slots;
    /* Moved page by page, not copied: the old and the new ones don't take memory at the same time, and what isn't used yet takes none. */
    void *grown = slots->slots ? mremap(slots->slots, slots->capacity * sizeof *slots->slots, bytes, MREMAP_MAYMOVE)
                               : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (grown == MAP_FAILED)
        return -1;
    slots->slots = grown;
    slots->capacity = (uint32_t)capacity;
    return 0;
}

/* ---- large sizes ---- */

static uint32_t home_of(const struct live_slots *slots, uint32_t slot)
{
    return (slot * 0x9e3779b1u >> 7) & (slots->large_capacity - 1);
}

/* Where this slot's size is, or would go. There is always a place that is nobody's. */
static struct large_size *place_of(const struct live_slots *slots, uint32_t slot)
{
    uint32_t place = home_of(slots, slot);
    while (slots->large[place].slot != slot && slots->large[place].slot != SLOT_NONE)
        place = (place + 1) & (slots->large_capacity - 1);
    return &slots->large[place];
}

static int reserve_large(struct live_slots *slots)
{
    if (slots->large_count < slots->large_capacity / 2)
        return 0;
    struct large_size *old = slots->large;
    uint32_t old_capacity = slots->large_capacity, capacity = old_capacity ? 2 * old_capacity : FIRST_LARGE_CAPACITY;
    struct large_size *grown = capacity ? malloc(capacity * sizeof *grown) : NULL;
    if (!grown)
        return -1;
    memset(grown, 0xff, capacity * sizeof *grown); /* SLOT_NONE */
    slots->large = grown;
    slots->large_capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].slot != SLOT_NONE)
            *place_of(slots, old[i].slot) = old[i];
    free(old);
    return 0;
}

uint64_t live_slots_large(const struct live_slots *slots, uint32_t slot)
{
    return place_of(slots, slot)->size_bytes;
}

int live_slots_add_large(struct live_slots *slots, uint32_t slot, uint64_t size_bytes)
{
    if (reserve_large(slots))
        return -1;
    *place_of(slots, slot) = (struct large_size){size_bytes, slot};
    slots->large_count++;
    return 0;
}

void live_slots_remove_large(struct live_slots *slots, uint32_t slot)
{
    uint32_t mask = slots->large_capacity - 1, hole = (uint32_t)(place_of(slots, slot) - slots->large);
    for (uint32_t i = (hole + 1) & mask; slots->large[i].slot != SLOT_NONE; i = (i + 1) & mask)
        /* May move into the hole unless its home lies cyclically behind the hole. */
        if (((i - home_of(slots, slots->large[i].slot)) & mask) >= ((i - hole) & mask)) {
            slots->large[hole] = slots->large[i];
            hole = i;
        }
    slots->large[hole].slot = SLOT_NONE;
    slots->large_count--;
}

void live_slots_shrink(struct live_slots *slots, uint32_t slot, uint64_t bytes)
{
    struct live_slot *shrunk = &slots->slots[slot];
    uint64_t size_bytes = live_slots_size(slots, slot) - bytes;
    if (!live_slot_is_large(shrunk)) {
        shrunk->size_and_flags -= (uint32_t)bytes;
    } else if (size_bytes >= SLOT_SIZE_LARGE) {
        place_of(slots, slot)->size_bytes = size_bytes;
    } else {
        live_slots_remove_large(slots, slot);
        shrunk->size_and_flags = (uint32_t)size_bytes | live_slot_flags(shrunk) << SLOT_SIZE_BITS;
    }
}

/* ---- beginning anew ---- */

void live_slots_relink(struct live_slots *slots)
{
    while (slots->used_count && !live_slot_is_live(&slots->slots[slots->used_count - 1]))
        slots->used_count--;
    slots->first_free = SLOT_NONE;
    for (uint32_t i = slots->used_count; i-- > 0;)
        if (!live_slot_is_live(&slots->slots[i])) {
            slots->slots[i].stack_id = slots->first_free;
            slots->first_free = i;
        }
}

int live_slots_restore(struct live_slots *slots, uint32_t slot, uint64_t size_bytes, unsigned flags, uint32_t stack_id, uint32_t sequence)
{
    while (slot >= slots->capacity)
        if (live_slots_grow(slots))
            return -1;
    for (; slots->used_count < slot; slots->used_count++)
        slots->slots[slots->used_count].size_and_flags = SLOT_FREE;
    /* None is free: it is assigned next. */
    slots->first_free = SLOT_NONE;
    return live_slots_take(slots, size_bytes, flags, stack_id, sequence) == slot ? 0 : -1;
}
