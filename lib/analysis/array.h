/* Growing arrays and hashing, shared by the files of this folder.
 * One thread; allocates with malloc. */
#ifndef HEAPLINE_ANALYSIS_ARRAY_H
#define HEAPLINE_ANALYSIS_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Make room for `needed` items. Grows by doubling; what is new is not touched, so that of a large array only what is used becomes resident.
 * Returns 1, or 0 without memory (nothing changed). */
static inline int array_extend(void **items, size_t *capacity, size_t needed, size_t item_bytes)
{
    if (needed <= *capacity)
        return 1;
    size_t grown = *capacity ? *capacity * 2 : 64;
    if (grown < needed)
        grown = needed;
    void *moved = reallocarray(*items, grown, item_bytes);
    if (!moved)
        return 0;
    *items = moved;
    *capacity = grown;
    return 1;
}

/* The same, and the new items are zeroed. */
static inline int array_reserve(void **items, size_t *capacity, size_t needed, size_t item_bytes)
{
    size_t before = *capacity;
    if (!array_extend(items, capacity, needed, item_bytes))
        return 0;
    if (*capacity > before)
        memset((char *)*items + before * item_bytes, 0, (*capacity - before) * item_bytes);
    return 1;
}

#define ARRAY_EXTEND(array, capacity, needed) array_extend((void **)&(array), &(capacity), (needed), sizeof *(array))
#define ARRAY_RESERVE(array, capacity, needed) array_reserve((void **)&(array), &(capacity), (needed), sizeof *(array))

/* Spread the bits of a number (the finaliser of MurmurHash3, public domain: https://github.com/aappleby/smhasher). */
static inline uint64_t hash_number(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdull;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ull;
    value ^= value >> 33;
    return value;
}

static inline uint64_t hash_combine(uint64_t hash, uint64_t value)
{
    return hash_number(hash * 31 + value);
}

#endif
