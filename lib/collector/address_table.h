/* From the address of a live block to its slot in the trace: a sparse shadow of the target's address space.
 *
 * A leaf covers 2 MiB with one 32-bit entry per 16 bytes (a granule), so a touched heap costs a quarter of its size here, and a look-up
 * is one load once the leaf is known. Leaves hang in a three-level radix tree; the last ones used are kept in a direct-mapped cache.
 * An entry holds slot + 1 and, in its top bit, whether the block begins in the middle of the granule. A second block in one granule, or
 * one at an odd address, goes into a hash table (the overflow).
 * Each leaf also knows which of its 4 KiB pages belong to pymalloc arenas. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_ADDRESS_TABLE_H
#define HEAPLINE_COLLECTOR_ADDRESS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "live_slots.h"

#define ADDRESS_LEAF_SHIFT 21
#define ADDRESS_LEAF_ENTRIES (1u << (ADDRESS_LEAF_SHIFT - 4))
#define ADDRESS_CACHE_LEAVES 512
#define ADDRESS_MIDDLE 0x80000000u
/* Slots above it don't fit into an entry: 2^31 live blocks. */
#define ADDRESS_MAX_SLOT (ADDRESS_MIDDLE - 2)

struct address_leaf {
    uint64_t key;            /* address >> ADDRESS_LEAF_SHIFT */
    uint32_t live_count;     /* blocks in entries and overflow */
    uint32_t overflow_count; /* of them in the overflow */
    uint64_t arena_pages[(1u << (ADDRESS_LEAF_SHIFT - 12)) / 64];
    alignas(CACHE_LINE_BYTES) uint32_t entries[ADDRESS_LEAF_ENTRIES];
};

struct address_overflow {
    uint64_t address; /* 0: empty */
    uint32_t slot;
};

struct address_table {
    struct address_leaf *cache[ADDRESS_CACHE_LEAVES];
    void **root;
    struct address_leaf **leaves; /* all of them */
    uint32_t leaf_count, leaf_capacity;
    struct address_overflow *overflow; /* open addressing */
    uint32_t overflow_count, overflow_capacity;
};

/* Returns 0 or STATUS_NO_MEMORY. */
int address_table_init(struct address_table *table);
void address_table_done(struct address_table *table);

/* NULL: nothing is known there. */
COLD struct address_leaf *address_table_find_leaf(struct address_table *table, uint64_t key);
/* Creates it if need be. NULL: no memory. */
COLD struct address_leaf *address_table_make_leaf(struct address_table *table, uint64_t key);

/* Any address. Returns the slot or SLOT_NONE. */
uint32_t address_table_find(struct address_table *table, uint64_t address);
/* The same, and forgets the address. */
uint32_t address_table_remove(struct address_table *table, uint64_t address);
/* The address must not be live. Returns 0 or STATUS_NO_MEMORY (also for slots above ADDRESS_MAX_SLOT). */
int address_table_insert(struct address_table *table, uint64_t address, uint32_t slot);

/* Mark whole pages as belonging to an arena (or no longer). */
int address_table_mark_arena(struct address_table *table, uint64_t start, uint64_t end, int is_arena);

/* Slots have been renumbered: map[old] = new. */
void address_table_renumber(struct address_table *table, const uint32_t *map);

/* Give the memory of leaves without live blocks back. */
void address_table_trim(struct address_table *table);

HOT_INLINE struct address_leaf *address_table_leaf(struct address_table *table, uint64_t address)
{
    uint64_t key = address >> ADDRESS_LEAF_SHIFT;
    struct address_leaf *leaf = table->cache[key % ADDRESS_CACHE_LEAVES];
    if (likely(leaf->key == key))
        return leaf;
    return address_table_find_leaf(table, key);
}

HOT_INLINE uint32_t *address_leaf_entry(struct address_leaf *leaf, uint64_t address)
{
    return &leaf->entries[(address >> 4) % ADDRESS_LEAF_ENTRIES];
}

/* What the entry says when the block at this 8-byte aligned address holds it. */
HOT_INLINE uint32_t address_entry_value(uint64_t address, uint32_t slot)
{
    return (slot + 1) | (uint32_t)(address & 8) << 28;
}

HOT_INLINE int address_leaf_is_arena(const struct address_leaf *leaf, uint64_t address)
{
    uint64_t page = (address >> 12) % (1u << (ADDRESS_LEAF_SHIFT - 12));
    return leaf->arena_pages[page / 64] >> page % 64 & 1;
}

#endif
