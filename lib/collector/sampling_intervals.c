/* See sampling_intervals.h. */
#include "sampling_intervals.h"

#include <stdlib.h>
#include <string.h>

#include "live_slots.h"
#include "status.h"

void sampling_intervals_init(struct sampling_intervals *intervals, uint64_t first_bytes)
{
    *intervals = (struct sampling_intervals){.bytes = {first_bytes}, .count = 1};
}

void sampling_intervals_done(struct sampling_intervals *intervals)
{
    free(intervals->ids);
}

static int reserve(struct sampling_intervals *intervals, uint32_t slot)
{
    uint64_t capacity = intervals->capacity ? intervals->capacity : 4096;
    while (capacity <= slot)
        capacity *= 2;
    uint8_t *grown = capacity <= UINT32_MAX ? realloc(intervals->ids, capacity) : NULL;
    if (!grown)
        return 0;
    memset(grown + intervals->capacity, 0, capacity - intervals->capacity);
    intervals->ids = grown;
    intervals->capacity = (uint32_t)capacity;
    return 1;
}

int sampling_intervals_renumber(struct sampling_intervals *intervals, const uint32_t *map, uint32_t slot_count)
{
    struct sampling_intervals moved = *intervals;
    int status = 0;
    moved.ids = NULL;
    moved.capacity = 0;
    for (uint32_t slot = 0; slot < intervals->capacity && slot < slot_count && !status; slot++)
        if (intervals->ids[slot] && map[slot] != SLOT_NONE) {
            if (map[slot] >= moved.capacity && !reserve(&moved, map[slot]))
                status = STATUS_NO_MEMORY;
            else
                moved.ids[map[slot]] = intervals->ids[slot];
        }
    free(intervals->ids);
    *intervals = moved;
    return status;
}

int sampling_intervals_find(struct sampling_intervals *intervals, uint64_t bytes)
{
    uint32_t id = 0;
    while (id < intervals->count && intervals->bytes[id] != bytes)
        id++;
    if (id == SAMPLING_MAX_INTERVALS)
        return -1;
    if (id == intervals->count)
        intervals->bytes[intervals->count++] = bytes;
    return (int)id;
}

void sampling_intervals_note(struct sampling_intervals *intervals, uint32_t slot, uint8_t id)
{
    if (slot == SLOT_NONE || (slot >= intervals->capacity && (!id || !reserve(intervals, slot))))
        return;
    intervals->ids[slot] = id;
}
