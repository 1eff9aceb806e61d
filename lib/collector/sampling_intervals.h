/* Which live block was taken by which sampling interval, where the interval was changed while the program ran.
 *
 * An interval has a small number, its id; 0 is the one that the session began with. Blocks are told by slot; those that nothing was said of were
 * taken by interval 0, so that a session whose interval never changes keeps nothing here. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_SAMPLING_INTERVALS_H
#define HEAPLINE_COLLECTOR_SAMPLING_INTERVALS_H

#include <stdint.h>

#include "compiler.h"

/* So many different ones can be told apart; further ones are refused before anybody follows them. */
#define SAMPLING_MAX_INTERVALS 256u

struct sampling_intervals {
    uint64_t bytes[SAMPLING_MAX_INTERVALS]; /* by id; 0: everything was recorded */
    uint32_t count;
    uint8_t *ids;                           /* by slot */
    uint32_t capacity;
};

void sampling_intervals_init(struct sampling_intervals *intervals, uint64_t first_bytes);
void sampling_intervals_done(struct sampling_intervals *intervals);
/* Slots have been renumbered: map[old] = new, of slot_count old ones. Returns 0, or STATUS_NO_MEMORY: some count as taken by interval 0. */
int sampling_intervals_renumber(struct sampling_intervals *intervals, const uint32_t *map, uint32_t slot_count);

/* The interval's id, a new one if need be. Returns -1: there are too many. */
int sampling_intervals_find(struct sampling_intervals *intervals, uint64_t bytes);

/* The block in this slot was taken by this interval. Without memory it counts as taken by interval 0. */
void sampling_intervals_note(struct sampling_intervals *intervals, uint32_t slot, uint8_t id);

/* By which interval was the block in this slot taken? */
HOT_INLINE uint8_t sampling_intervals_of(const struct sampling_intervals *intervals, uint32_t slot)
{
    return slot < intervals->capacity ? intervals->ids[slot] : 0;
}

#endif
