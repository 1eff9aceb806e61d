/* How likely a block is to be sampled: what its weight in estimates is the reciprocal of. Needs libm; never allocates. */
#ifndef HEAPLINE_COMMON_SAMPLING_PROBABILITY_H
#define HEAPLINE_COMMON_SAMPLING_PROBABILITY_H

#include <math.h>
#include <stdint.h>

/* Every byte is a sampling point with a mean distance of interval_bytes: the probability that so many bytes hold one. */
static inline double sampling_probability(uint64_t size_bytes, uint64_t interval_bytes)
{
    return -expm1(-(double)size_bytes / (double)interval_bytes);
}

#endif
