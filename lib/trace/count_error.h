/* How far the counts of a stack, or of several, may be from the truth where they are of samples: the variance of each (trace_weight.h, docs/architecture.md,
 * "Sampling"), and the most that one block, and one copy, added to one of them. All zero: the counts are exact. Pure. */
#ifndef HEAPLINE_TRACE_COUNT_ERROR_H
#define HEAPLINE_TRACE_COUNT_ERROR_H

struct count_error {
    double live, allocations, peak, copies;
    double largest_block, largest_copy;
};

/* A block becomes live that adds this variance. `is_counted`: as an allocation, too. */
static inline void count_error_add_block(struct count_error *sum, double variance, int is_counted)
{
    sum->live += variance;
    sum->allocations += is_counted ? variance : 0;
    if (variance > sum->largest_block)
        sum->largest_block = variance;
}

static inline void count_error_add_copy(struct count_error *sum, double variance)
{
    sum->copies += variance;
    if (variance > sum->largest_copy)
        sum->largest_copy = variance;
}

/* Variances add up, of what one block added the most stays. */
static inline void count_error_add(struct count_error *sum, const struct count_error *error)
{
    sum->live += error->live;
    sum->allocations += error->allocations;
    sum->peak += error->peak;
    sum->copies += error->copies;
    if (error->largest_block > sum->largest_block)
        sum->largest_block = error->largest_block;
    if (error->largest_copy > sum->largest_copy)
        sum->largest_copy = error->largest_copy;
}

static inline int count_error_is_zero(const struct count_error *error)
{
    return !(error->largest_block > 0) && !(error->largest_copy > 0);
}

#endif
