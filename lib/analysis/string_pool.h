/* Strings kept once: equal strings have equal addresses, so that what follows compares and hashes pointers.
 * One thread; allocates in chunks; everything is released together. */
#ifndef HEAPLINE_ANALYSIS_STRING_POOL_H
#define HEAPLINE_ANALYSIS_STRING_POOL_H

#include <stddef.h>
#include <stdint.h>

struct string_chunk;

struct string_pool {
    struct string_chunk *chunks;
    const char **table; /* open addressing; NULL: free */
    size_t table_capacity, count;
};

void string_pool_init(struct string_pool *pool);
void string_pool_done(struct string_pool *pool);

/* The pool's copy of a string, NUL-terminated; what follows a NUL in it is dropped. NULL without memory. */
const char *string_pool_intern(struct string_pool *pool, const char *text, size_t bytes);
/* A copy of any bytes, not shared with equal ones. Never NULL but without memory, also for 0 bytes. */
const uint8_t *string_pool_copy(struct string_pool *pool, const void *bytes, size_t count);

#endif
