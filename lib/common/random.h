/* Random numbers that need not be secret: a state of 64 bits, any of which is as good as another. Never allocates. */
#ifndef HEAPLINE_COMMON_RANDOM_H
#define HEAPLINE_COMMON_RANDOM_H

#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014). Equidistributed; consecutive states give independent numbers, too. */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* 0 to 1, without 1. */
static inline double random_fraction(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

#endif
