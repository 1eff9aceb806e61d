/* Strings kept once (string_pool.h): bump-allocated chunks plus a hash table of pointers into them. */
#include "string_pool.h"

#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "byte_hash.h"

#define CHUNK_BYTES (64u << 10)

struct string_chunk {
    struct string_chunk *next;
    size_t used, capacity;
    char bytes[];
};

void string_pool_init(struct string_pool *pool)
{
    *pool = (struct string_pool){0};
}

void string_pool_done(struct string_pool *pool)
{
    for (struct string_chunk *chunk = pool->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(pool->table);
    string_pool_init(pool);
}

static char *pool_take(struct string_pool *pool, size_t bytes)
{
    struct string_chunk *chunk = pool->chunks;
    if (!chunk || chunk->capacity - chunk->used < bytes) {
        size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = malloc(sizeof *chunk + capacity);
        if (!chunk)
            return NULL;
        *chunk = (struct string_chunk){.next = pool->chunks, .capacity = capacity};
        pool->chunks = chunk;
    }
    char *taken = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return taken;
}

const uint8_t *string_pool_copy(struct string_pool *pool, const void *bytes, size_t count)
{
    char *copy = pool_take(pool, count ? count : 1);
    if (copy && count)
        memcpy(copy, bytes, count);
    return (const uint8_t *)copy;
}

static size_t free_place(const char *const *table, size_t capacity, uint64_t hash)
{
    size_t place = hash & (capacity - 1);
    while (table[place])
        place = (place + 1) & (capacity - 1);
    return place;
}

static int table_grow(struct string_pool *pool)
{
    size_t capacity = pool->table_capacity ? pool->table_capacity * 2 : 1024;
    const char **table = calloc(capacity, sizeof *table);
    if (!table)
        return 0;
    for (size_t i = 0; i < pool->table_capacity; i++) {
        const char *text = pool->table[i];
        if (text)
            table[free_place(table, capacity, hash_number(hash_bytes(HASH_BYTES_START, text, strlen(text))))] = text;
    }
    free(pool->table);
    pool->table = table;
    pool->table_capacity = capacity;
    return 1;
}

const char *string_pool_intern(struct string_pool *pool, const char *text, size_t bytes)
{
    if (bytes)
        bytes = strnlen(text, bytes);
    else
        text = "";
    if (pool->count * 2 >= pool->table_capacity && !table_grow(pool))
        return NULL;
    uint64_t hash = hash_number(hash_bytes(HASH_BYTES_START, text, bytes));
    size_t mask = pool->table_capacity - 1, place = hash & mask;
    for (const char *found; (found = pool->table[place]); place = (place + 1) & mask)
        if (!strncmp(found, text, bytes) && !found[bytes])
            return found;
    char *copy = pool_take(pool, bytes + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    pool->table[place] = copy;
    pool->count++;
    return copy;
}
