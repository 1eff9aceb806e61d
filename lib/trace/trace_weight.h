/* What sampled blocks and copies stand for, where sums of them are written: by the writer of a rotated trace, and again by its reader, who must come
 * to the same numbers on any machine (docs/trace_format.md, "Weights").
 *
 * A block of `size` bytes, sampled by an interval T, was there with probability p = 1 - exp(-size / T), and counts 1/p times. Weights are whole
 * numbers, rounded up or down at random with the probabilities that keep their mean; the random number is the event's. Mappings and arenas,
 * blocks of no bytes, and all that a thread records whose interval is 0, count as themselves.
 * One thread; allocates by slot and by thread. */
#ifndef HEAPLINE_TRACE_TRACE_WEIGHT_H
#define HEAPLINE_TRACE_TRACE_WEIGHT_H

#include <stdint.h>

#include "compiler.h"

struct trace_weight {
    uint64_t bytes, count;
};

/* What a thread has freed last: a realloc that fails gives it back. */
struct freed_weight {
    uint64_t size_bytes;
    uint32_t stack_id, is_valid;
    struct trace_weight weight;
};

struct weight_table {
    uint64_t base_bytes;           /* the interval of threads of which nothing was said */
    uint64_t longest_bytes;        /* of all intervals so far; 0: all counts as itself */
    uint64_t *intervals;           /* by thread; base_bytes beyond the last */
    uint32_t interval_count;
    struct freed_weight *freed;    /* by thread */
    uint32_t freed_count;
    struct trace_weight *weights;  /* by slot; count 0: as itself */
    uint32_t weight_count;
};

void weight_table_init(struct weight_table *table, uint64_t base_bytes);
void weight_table_done(struct weight_table *table);
/* All threads have the interval of the beginning again, and no block a weight. */
void weight_table_reset(struct weight_table *table);

/* The thread samples by this interval from here on. Returns 0 or STATUS_NO_MEMORY. */
int weight_table_set_interval(struct weight_table *table, uint32_t thread_id, uint64_t interval_bytes);

static inline uint64_t weight_table_interval(const struct weight_table *table, uint32_t thread_id)
{
    return thread_id < table->interval_count ? table->intervals[thread_id] : table->base_bytes;
}

/* What a block or a copy counts as that this thread takes now; `event_number`: so many events came before. */
struct trace_weight weight_table_weigh(const struct weight_table *table, uint32_t thread_id, uint64_t size_bytes, unsigned flags,
                                       uint64_t event_number);
/* The block in this slot counts as this. Returns 0 or STATUS_NO_MEMORY. */
int weight_table_put(struct weight_table *table, uint32_t slot, uint64_t size_bytes, struct trace_weight weight);
/* What the block of so many bytes in this slot counts as. */
static inline struct trace_weight weight_table_of(const struct weight_table *table, uint32_t slot, uint64_t size_bytes)
{
    if (slot < table->weight_count && table->weights[slot].count)
        return table->weights[slot];
    return (struct trace_weight){size_bytes, 1};
}

/* This thread frees a block that counts as this. Returns 0 or STATUS_NO_MEMORY. */
int weight_table_freed(struct weight_table *table, uint32_t thread_id, uint64_t size_bytes, uint32_t stack_id, struct trace_weight weight);
/* Whatever threads have freed last is not given back. */
void weight_table_forget_freed(struct weight_table *table);
/* The same block is live again: what it had counted as, if it is what the thread freed last; else as one that the thread takes now. */
struct trace_weight weight_table_undo(struct weight_table *table, uint32_t thread_id, uint64_t size_bytes, uint32_t stack_id, unsigned flags,
                                      uint64_t event_number);

/* What it adds to the variance of a sum of bytes: (1 - p) (size / p)^2. */
static inline double trace_weight_variance(uint64_t size_bytes, struct trace_weight weight)
{
    return weight.bytes > size_bytes ? (double)weight.bytes * (double)(weight.bytes - size_bytes) : 0;
}

/* Of a count: (1 - p) / p^2 and what rounding 1/p at random adds, f (1 - f) with its fraction f. 1/p is what is kept of it: weight.bytes / size.
 * To whole numbers, small ones to 1024ths, so that what is added and taken away again leaves nothing. */
COLD double trace_weight_count_variance(uint64_t size_bytes, struct trace_weight weight);

#endif
