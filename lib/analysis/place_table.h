/* The distinct places that a trace's stacks go through: an instruction of a code object, or an address in a module.
 *
 * Millions of stack nodes are made of some 10,000 places: kept once, each is decoded once, and a node is two numbers.
 * One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_PLACE_TABLE_H
#define HEAPLINE_ANALYSIS_PLACE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct place {
    uint64_t position; /* Python: instruction (int32_t); native: address in the module's file */
    uint32_t owner_id; /* Python: code id; native: module id, 0: unknown */
    uint32_t kind;     /* enum trace_frame_kind */
};

struct place_table {
    struct place *places; /* from 1; all zero: that of the empty stack */
    uint32_t place_count; /* one more than the highest number */
    size_t place_capacity;
    uint32_t *index;      /* hash table of their numbers; 0: free */
    size_t index_capacity;
};

/* Returns 0 or STATUS_NO_MEMORY. */
int place_table_init(struct place_table *table);
void place_table_done(struct place_table *table);

/* The number of a place; 0 without memory. */
uint32_t place_table_intern(struct place_table *table, const struct place *place);

#endif
