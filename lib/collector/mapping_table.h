/* The target's anonymous mappings and its brk heap: ranges of addresses, each with the slot it counts in.
 *
 * A mapping begins as one range; unmapping its middle leaves two that share the slot. Ranges are sorted and never overlap. They are kept
 * in chunks of at most 128, so that thousands of them cost two binary searches and a short move. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_MAPPING_TABLE_H
#define HEAPLINE_COLLECTOR_MAPPING_TABLE_H

#include <stdint.h>

struct mapping {
    uint64_t start, end; /* as asked for: the end need not be a whole page */
    uint32_t slot;
    uint32_t is_arena;
};

struct mapping_chunk;

struct mapping_table {
    struct mapping_chunk **chunks; /* none is empty */
    uint32_t chunk_count, chunk_capacity;
};

void mapping_table_init(struct mapping_table *table);
void mapping_table_done(struct mapping_table *table);

/* Nothing may overlap it: cut first. Returns 0 or STATUS_NO_MEMORY. */
int mapping_table_add(struct mapping_table *table, const struct mapping *mapping);

/* Take the first piece of any mapping out of [start, end), both whole pages. Returns 1 and the piece, or 0: nothing (more) is there.
 * STATUS_NO_MEMORY: there is a piece, but what would stay behind it can't be kept; the table is unchanged. */
int mapping_table_cut(struct mapping_table *table, uint64_t start, uint64_t end, struct mapping *ret_piece);

/* Slots have been renumbered: map[old] = new. */
void mapping_table_renumber(struct mapping_table *table, const uint32_t *map);

#endif
