/* Interns places (place_table.h): open addressing, at most half full. */
#include "place_table.h"

#include "array.h"
#include "status.h"

#define FIRST_INDEX_CAPACITY 1024

int place_table_init(struct place_table *table)
{
    *table = (struct place_table){.place_count = 1, .index_capacity = FIRST_INDEX_CAPACITY};
    table->index = calloc(table->index_capacity, sizeof *table->index);
    if (table->index && ARRAY_RESERVE(table->places, table->place_capacity, 1))
        return STATUS_OK;
    place_table_done(table);
    return STATUS_NO_MEMORY;
}

void place_table_done(struct place_table *table)
{
    free(table->places);
    free(table->index);
    *table = (struct place_table){0};
}

static size_t first_slot(const struct place *place, size_t capacity)
{
    return hash_number(place->position ^ (uint64_t)place->owner_id << 34 ^ (uint64_t)place->kind << 32) & (capacity - 1);
}

static int grow_index(struct place_table *table)
{
    size_t capacity = table->index_capacity * 2;
    uint32_t *index = calloc(capacity, sizeof *index);
    if (!index)
        return 0;
    for (uint32_t id = 1; id < table->place_count; id++) {
        size_t slot = first_slot(&table->places[id], capacity);
        while (index[slot])
            slot = (slot + 1) & (capacity - 1);
        index[slot] = id;
    }
    free(table->index);
    table->index = index;
    table->index_capacity = capacity;
    return 1;
}

uint32_t place_table_intern(struct place_table *table, const struct place *place)
{
    if ((size_t)table->place_count * 2 > table->index_capacity && !grow_index(table))
        return 0;
    size_t mask = table->index_capacity - 1, slot = first_slot(place, table->index_capacity);
    for (uint32_t id; (id = table->index[slot]); slot = (slot + 1) & mask) {
        const struct place *found = &table->places[id];
        if (found->position == place->position && found->owner_id == place->owner_id && found->kind == place->kind)
            return id;
    }
    if (!ARRAY_RESERVE(table->places, table->place_capacity, table->place_count + (size_t)1))
        return 0;
    table->places[table->place_count] = *place;
    return table->index[slot] = table->place_count++;
}
