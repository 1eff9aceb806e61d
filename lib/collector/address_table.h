/* From the address of a live block to its slot in the trace: a sparse shadow of the target's address space.
 *
 * A leaf covers 2 MiB, page by page. A page has one 32-bit entry per granule of 64 bytes to begin with; when two blocks want the same entry its
 * granules are halved, down to 16 bytes. So the shadow of a heap takes a sixteenth to a quarter of its size, by how small its blocks are. A
 * look-up is two loads once the leaf is known. Leaves hang in a three-level radix tree; the last ones used are kept in a direct-mapped cache.
 * An entry holds slot + 1 and, in its top bits, where in 64 bytes the block begins. A second block in 16 bytes, or one at an odd address,
 * goes into a hash table (the overflow).
 * Each leaf also knows which of its pages belong to pymalloc arenas. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_ADDRESS_TABLE_H
#define HEAPLINE_COLLECTOR_ADDRESS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "live_slots.h"

#define ADDRESS_LEAF_SHIFT 21
#define ADDRESS_PAGE_SHIFT 12
#define ADDRESS_PAGE_BYTES (1u << ADDRESS_PAGE_SHIFT)
#define ADDRESS_LEAF_PAGES (1u << (ADDRESS_LEAF_SHIFT - ADDRESS_PAGE_SHIFT))
#define ADDRESS_COARSE_SHIFT 6 /* a granule is 64 bytes … */
#define ADDRESS_FINE_SHIFT 4   /* … to 16 */
#define ADDRESS_CACHE_LEAVES 512
#define ADDRESS_SLOT_BITS 29
/* Slots above it don't fit into an entry: half a billion live blocks. */
#define ADDRESS_MAX_SLOT ((1u << ADDRESS_SLOT_BITS) - 3)
/* The entries of a page that has none: never a block's, and not free either. */
#define ADDRESS_NO_ENTRY 0xffffffffu

struct address_leaf {
    uint64_t key;            /* address >> ADDRESS_LEAF_SHIFT */
    uint32_t live_count;     /* blocks in entries and overflow */
    uint32_t overflow_count; /* of them in the overflow */
    uint64_t arena_pages[ADDRESS_LEAF_PAGES / 64];
    uintptr_t pages[ADDRESS_LEAF_PAGES]; /* where a page's entries are, and in the low 3 bits the shift of its granules */
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
    void *retired; /* entries of pages that have finer ones now, each with the next one's address in front: look_ahead.h may still look there */
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

/* Calls for every address and its slot, leaf by leaf. */
void address_table_each(const struct address_table *table, void (*call)(void *context, uint64_t address, uint32_t slot), void *context);

/* Give the memory of leaves without live blocks back. Entries that were found before are gone. */
void address_table_trim(struct address_table *table);

HOT_INLINE struct address_leaf *address_table_leaf(struct address_table *table, uint64_t address)
{
    uint64_t key = address >> ADDRESS_LEAF_SHIFT;
    struct address_leaf *leaf = table->cache[key % ADDRESS_CACHE_LEAVES];
    if (likely(leaf->key == key))
        return leaf;
    return address_table_find_leaf(table, key);
}

HOT_INLINE uint32_t *address_page_entries(uintptr_t page)
{
    return (uint32_t *)(page & ~(uintptr_t)7);
}

HOT_INLINE unsigned address_page_shift(uintptr_t page)
{
    return page & 7;
}

HOT_INLINE uint32_t *address_leaf_entry(const struct address_leaf *leaf, uint64_t address)
{
    uintptr_t page = leaf->pages[(address >> ADDRESS_PAGE_SHIFT) % ADDRESS_LEAF_PAGES];
    return &address_page_entries(page)[address % ADDRESS_PAGE_BYTES >> address_page_shift(page)];
}

/* What the entry says when the block at this 8-byte aligned address holds it. */
HOT_INLINE uint32_t address_entry_value(uint64_t address, uint32_t slot)
{
    return (slot + 1) | (uint32_t)(address >> 3) << ADDRESS_SLOT_BITS;
}

/* The slot of the block at this 8-byte aligned address; above ADDRESS_MAX_SLOT: the entry is another's or nobody's. */
HOT_INLINE uint32_t address_entry_slot(uint32_t entry, uint64_t address)
{
    return (entry ^ (uint32_t)(address >> 3) << ADDRESS_SLOT_BITS) - 1;
}

HOT_INLINE int address_leaf_is_arena(const struct address_leaf *leaf, uint64_t address)
{
    uint64_t page = (address >> ADDRESS_PAGE_SHIFT) % ADDRESS_LEAF_PAGES;
    return leaf->arena_pages[page / 64] >> page % 64 & 1;
}

#endif
