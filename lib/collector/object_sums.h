/* What a survey's words add up to: by stack and type, objects and bytes; the types' names; the paths. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_OBJECT_SUMS_H
#define HEAPLINE_COLLECTOR_OBJECT_SUMS_H

#include <stdint.h>

#include "live_slots.h"

struct object_sum {
    uint32_t stack_id, type_id; /* type 0: nobody's place */
    uint64_t count, bytes;
};

/* A block that is some object's own, unless it turns out to be an object. */
struct object_maybe {
    uint32_t slot, type_id;
};

struct object_path {
    uint32_t target;
    char *steps;
};

struct object_sums {
    uint64_t *seen;             /* a bit a slot */
    uint32_t slot_count;
    struct object_sum *sums;    /* open addressing */
    uint32_t sum_count, sum_capacity;
    struct object_maybe *maybes;
    uint32_t maybe_count, maybe_capacity;
    char **types;               /* by id */
    uint32_t type_count;        /* one more than the highest id */
    struct object_path *paths;
    uint32_t path_count;
    int failed;                 /* no memory: what follows is left out */
};

/* slot_count: of the live slots, which must not change until the end. */
int object_sums_init(struct object_sums *sums, uint32_t slot_count);
void object_sums_done(struct object_sums *sums);

/* A live block: count 1 for an object itself, 0 for one that is its own. What has been added once is not added again. */
void object_sums_add(struct object_sums *sums, const struct live_slots *slots, uint32_t slot, uint32_t type_id, uint32_t count);
void object_sums_add_maybe(struct object_sums *sums, uint32_t slot, uint32_t type_id);
void object_sums_add_type(struct object_sums *sums, uint32_t type_id, const char *name, uint32_t bytes);
void object_sums_add_path(struct object_sums *sums, uint32_t target, const char *steps, uint32_t bytes);

/* When all has been added: the blocks that no object was found at go to those that named them first; the sums are moved together, those of
 * most bytes first. */
void object_sums_end(struct object_sums *sums, const struct live_slots *slots);

#endif
