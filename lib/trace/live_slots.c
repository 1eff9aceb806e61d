/* The growing half of the live set (live_slots.h). One thread; allocates. */
#include "live_slots.h"

#include <stdlib.h>

#define FIRST_CAPACITY 1024u

void live_slots_init(struct live_slots *slots)
{
    *slots = (struct live_slots){.first_free = SLOT_NONE};
}

void live_slots_done(struct live_slots *slots)
{
    free(slots->slots);
    live_slots_init(slots);
}

int live_slots_grow(struct live_slots *slots)
{
    uint64_t capacity = slots->capacity ? 2ull * slots->capacity : FIRST_CAPACITY;
    if (capacity > SLOT_NONE)
        capacity = SLOT_NONE; /* slots are numbered below SLOT_NONE */
    if (capacity == slots->capacity)
        return -1;
    struct live_slot *grown = realloc(slots->slots, capacity * sizeof(*grown));
    if (!grown)
        return -1;
    slots->slots = grown;
    slots->capacity = (uint32_t)capacity;
    return 0;
}
