/* Estimates from a sample: what a sampled block or copy counts as (docs/architecture.md, "Sampling").
 *
 * A block that is recorded with probability p stands for 1/p blocks (Horvitz and Thompson). Figures are whole numbers that must add up, so each
 * weight is rounded up or down at random, with the probabilities that keep its mean: no sum is biased by it. It is kept as long as the block
 * lives, by whatever interval its thread samples meanwhile. Mappings and arenas are always recorded and count as themselves. One thread;
 * allocates where an exact trace becomes a sample. */
#ifndef HEAPLINE_ANALYSIS_REPLAY_SAMPLING_H
#define HEAPLINE_ANALYSIS_REPLAY_SAMPLING_H

#include "compiler.h"
#include "trace_event.h"
#include "trace_weight.h"

struct replay_state;

/* What a block or a copy counts as; and of a block, what it adds to the variances of sums of bytes and of counts. */
struct replay_weight {
    uint64_t bytes, count;
    double variance, count_variance;
};

/* What a block of this size that was sampled counts as, by what has been told of it. */
struct replay_weight replay_weight_of(uint64_t size_bytes, struct trace_weight weight);

/* Of a copy. */
COLD struct replay_weight replay_sampled_copy(struct replay_state *state, const struct trace_event *event);
/* Of an allocation, or of a block that is live again: kept with its slot. */
COLD struct replay_weight replay_sampled_allocation(struct replay_state *state, const struct trace_event *event);
/* Of a deallocation. */
COLD struct replay_weight replay_sampled_free(struct replay_state *state, const struct trace_event *event);
/* The current thread samples by another interval from here on. Returns 0 or STATUS_NO_MEMORY. */
COLD int replay_sampling_change(struct replay_state *state, uint64_t interval_bytes);

#endif
