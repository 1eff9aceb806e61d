/* See object_sums.h. */
#include "object_sums.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096
#define MAX_PATHS 4096

int object_sums_init(struct object_sums *sums, uint32_t slot_count)
{
    *sums = (struct object_sums){
        .seen = calloc(slot_count / 64 + 1, sizeof *sums->seen),
        .slot_count = slot_count,
        .sums = calloc(FIRST_CAPACITY, sizeof *sums->sums),
        .sum_capacity = FIRST_CAPACITY,
    };
    return sums->seen && sums->sums;
}

void object_sums_done(struct object_sums *sums)
{
    for (uint32_t i = 0; i < sums->type_count; i++)
        free(sums->types[i]);
    for (uint32_t i = 0; i < sums->path_count; i++)
        free(sums->paths[i].steps);
    free(sums->types);
    free(sums->paths);
    free(sums->maybes);
    free(sums->sums);
    free(sums->seen);
    *sums = (struct object_sums){0};
}

static struct object_sum *place_of(struct object_sum *sums, uint32_t capacity, uint32_t stack_id, uint32_t type_id)
{
    uint64_t at = ((uint64_t)stack_id << 32 | type_id) * 0x9e3779b97f4a7c15ull >> 32;
    while (sums[at % capacity].type_id && (sums[at % capacity].stack_id != stack_id || sums[at % capacity].type_id != type_id))
        at++;
    return &sums[at % capacity];
}

static int grow(struct object_sums *sums)
{
    uint32_t capacity = sums->sum_capacity * 2;
    struct object_sum *larger = calloc(capacity, sizeof *larger);
    if (!larger)
        return 0;
    for (uint32_t i = 0; i < sums->sum_capacity; i++)
        if (sums->sums[i].type_id)
            *place_of(larger, capacity, sums->sums[i].stack_id, sums->sums[i].type_id) = sums->sums[i];
    free(sums->sums);
    sums->sums = larger;
    sums->sum_capacity = capacity;
    return 1;
}

static int is_seen(const struct object_sums *sums, uint32_t slot)
{
    return slot >= sums->slot_count || (sums->seen[slot / 64] >> slot % 64 & 1);
}

void object_sums_add(struct object_sums *sums, const struct live_slots *slots, uint32_t slot, uint32_t type_id, uint32_t count)
{
    if (is_seen(sums, slot) || type_id == 0 || !live_slot_is_live(&slots->slots[slot]))
        return;
    if (sums->sum_count > sums->sum_capacity / 2 && !grow(sums)) {
        sums->failed = 1;
        return;
    }
    struct object_sum *sum = place_of(sums->sums, sums->sum_capacity, slots->slots[slot].stack_id, type_id);
    if (!sum->type_id) {
        sum->stack_id = slots->slots[slot].stack_id;
        sum->type_id = type_id;
        sums->sum_count++;
    }
    sum->count += count;
    sum->bytes += live_slots_size(slots, slot);
    sums->seen[slot / 64] |= 1ull << slot % 64;
}

void object_sums_add_maybe(struct object_sums *sums, uint32_t slot, uint32_t type_id)
{
    if (is_seen(sums, slot))
        return;
    if (sums->maybe_count == sums->maybe_capacity) {
        uint32_t capacity = sums->maybe_capacity ? sums->maybe_capacity * 2 : FIRST_CAPACITY;
        struct object_maybe *larger = realloc(sums->maybes, capacity * sizeof *larger);
        if (!larger) {
            sums->failed = 1;
            return;
        }
        sums->maybes = larger;
        sums->maybe_capacity = capacity;
    }
    sums->maybes[sums->maybe_count++] = (struct object_maybe){slot, type_id};
}

void object_sums_add_type(struct object_sums *sums, uint32_t type_id, const char *name, uint32_t bytes)
{
    if (type_id != (sums->type_count ? sums->type_count : 1))
        return; /* they count up from 1 */
    if ((type_id & (type_id - 1)) == 0 || !sums->types) {
        char **larger = realloc(sums->types, (size_t)type_id * 2 * sizeof *larger);
        if (!larger) {
            sums->failed = 1;
            return;
        }
        sums->types = larger;
        sums->types[0] = sums->type_count ? sums->types[0] : NULL;
    }
    sums->types[type_id] = strndup(name, bytes);
    sums->type_count = type_id + 1;
}

void object_sums_add_path(struct object_sums *sums, uint32_t target, const char *steps, uint32_t bytes)
{
    if (!sums->paths)
        sums->paths = calloc(MAX_PATHS, sizeof *sums->paths);
    char *copy = sums->paths && sums->path_count < MAX_PATHS ? strndup(steps, bytes) : NULL;
    if (copy)
        sums->paths[sums->path_count++] = (struct object_path){target, copy};
    else
        sums->failed = 1;
}

static int compare_sums(const void *a, const void *b)
{
    const struct object_sum *left = a, *right = b;
    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? 1 : -1;
    if (left->stack_id != right->stack_id)
        return left->stack_id < right->stack_id ? -1 : 1;
    return left->type_id < right->type_id ? -1 : left->type_id > right->type_id;
}

void object_sums_end(struct object_sums *sums, const struct live_slots *slots)
{
    for (uint32_t i = 0; i < sums->maybe_count; i++)
        object_sums_add(sums, slots, sums->maybes[i].slot, sums->maybes[i].type_id, 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < sums->sum_capacity; i++)
        if (sums->sums[i].type_id)
            sums->sums[count++] = sums->sums[i];
    qsort(sums->sums, count, sizeof *sums->sums, compare_sums);
}
