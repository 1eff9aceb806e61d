/* See mapping_table.h. */
#include "mapping_table.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"

#define CHUNK_MAPPINGS 128u

struct mapping_chunk {
    uint32_t count;
    struct mapping mappings[CHUNK_MAPPINGS];
};

void mapping_table_init(struct mapping_table *table)
{
    *table = (struct mapping_table){0};
}

void mapping_table_done(struct mapping_table *table)
{
    for (uint32_t i = 0; i < table->chunk_count; i++)
        free(table->chunks[i]);
    free(table->chunks);
    mapping_table_init(table);
}

/* The last chunk whose first mapping starts at or below the address; 0 where there is none. */
static uint32_t chunk_of(const struct mapping_table *table, uint64_t address)
{
    uint32_t low = 0, high = table->chunk_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (table->chunks[middle]->mappings[0].start <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* How many mappings of the chunk start at or below the address. */
static uint32_t count_up_to(const struct mapping_chunk *chunk, uint64_t address)
{
    uint32_t low = 0, high = chunk->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->mappings[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct mapping_chunk *insert_chunk(struct mapping_table *table, uint32_t at)
{
    if (table->chunk_count == table->chunk_capacity) {
        uint32_t capacity = table->chunk_capacity ? 2 * table->chunk_capacity : 16;
        struct mapping_chunk **chunks = realloc(table->chunks, capacity * sizeof *chunks);
        if (!chunks)
            return NULL;
        table->chunks = chunks;
        table->chunk_capacity = capacity;
    }
    struct mapping_chunk *chunk = malloc(sizeof *chunk);
    if (!chunk)
        return NULL;
    memmove(&table->chunks[at + 1], &table->chunks[at], (table->chunk_count - at) * sizeof *table->chunks);
    table->chunks[at] = chunk;
    table->chunk_count++;
    chunk->count = 0;
    return chunk;
}

static int split_chunk(struct mapping_table *table, uint32_t at)
{
    struct mapping_chunk *upper = insert_chunk(table, at + 1);
    if (!upper)
        return STATUS_NO_MEMORY;
    struct mapping_chunk *lower = table->chunks[at];
    upper->count = lower->count / 2;
    lower->count -= upper->count;
    memcpy(upper->mappings, &lower->mappings[lower->count], upper->count * sizeof *upper->mappings);
    return 0;
}

int mapping_table_add(struct mapping_table *table, const struct mapping *mapping)
{
    if (table->chunk_count == 0 && !insert_chunk(table, 0))
        return STATUS_NO_MEMORY;
    uint32_t at = chunk_of(table, mapping->start);
    if (table->chunks[at]->count == CHUNK_MAPPINGS) {
        if (split_chunk(table, at) != 0)
            return STATUS_NO_MEMORY;
        at = chunk_of(table, mapping->start);
    }
    struct mapping_chunk *chunk = table->chunks[at];
    uint32_t index = count_up_to(chunk, mapping->start);
    memmove(&chunk->mappings[index + 1], &chunk->mappings[index], (chunk->count - index) * sizeof *chunk->mappings);
    chunk->mappings[index] = *mapping;
    chunk->count++;
    return 0;
}

static void remove_at(struct mapping_table *table, uint32_t at, uint32_t index)
{
    struct mapping_chunk *chunk = table->chunks[at];
    chunk->count--;
    memmove(&chunk->mappings[index], &chunk->mappings[index + 1], (chunk->count - index) * sizeof *chunk->mappings);
    if (chunk->count > 0)
        return;
    free(chunk);
    table->chunk_count--;
    memmove(&table->chunks[at], &table->chunks[at + 1], (table->chunk_count - at) * sizeof *table->chunks);
}

/* The first mapping that reaches into [start, end). Returns 1 and where it is, or 0. */
static int find_overlap(const struct mapping_table *table, uint64_t start, uint64_t end, uint32_t *ret_chunk, uint32_t *ret_index)
{
    if (table->chunk_count == 0)
        return 0;
    uint32_t at = chunk_of(table, start), index = count_up_to(table->chunks[at], start);
    if (index > 0 && table->chunks[at]->mappings[index - 1].end > start)
        index--;
    if (index == table->chunks[at]->count) {
        at++;
        index = 0;
    }
    if (at == table->chunk_count || table->chunks[at]->mappings[index].start >= end)
        return 0;
    *ret_chunk = at;
    *ret_index = index;
    return 1;
}

int mapping_table_cut(struct mapping_table *table, uint64_t start, uint64_t end, struct mapping *ret_piece)
{
    uint32_t at, index;
    if (start >= end || !find_overlap(table, start, end, &at, &index))
        return 0;
    struct mapping *found = &table->chunks[at]->mappings[index];
    struct mapping piece = *found, behind = *found;
    if (piece.start < start)
        piece.start = start;
    if (piece.end > end)
        piece.end = end;
    behind.start = piece.end;
    int keeps_front = found->start < piece.start, keeps_back = behind.start < behind.end;
    uint64_t old_end = found->end;
    if (keeps_front && keeps_back) {
        found->end = piece.start;
        if (mapping_table_add(table, &behind) != 0) {
            found->end = old_end;
            return STATUS_NO_MEMORY;
        }
    } else if (keeps_front) {
        found->end = piece.start;
    } else if (keeps_back) {
        found->start = behind.start;
    } else {
        remove_at(table, at, index);
    }
    *ret_piece = piece;
    return 1;
}

void mapping_table_renumber(struct mapping_table *table, const uint32_t *map)
{
    for (uint32_t i = 0; i < table->chunk_count; i++)
        for (uint32_t j = 0; j < table->chunks[i]->count; j++)
            table->chunks[i]->mappings[j].slot = map[table->chunks[i]->mappings[j].slot];
}
