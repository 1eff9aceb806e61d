/* See address_table.h. */
#include "address_table.h"

#include <stdlib.h>
#include <string.h>

#include "status.h"

#define LEVEL_BITS 12
#define LEVEL_ENTRIES (1u << LEVEL_BITS)
#define FIRST_OVERFLOW 256u

/* Stands in every unused place of the cache: its key fits no address. */
static struct address_leaf no_leaf = {.key = ~0ull};
/* Stands for the entries of every page without any. */
static alignas(CACHE_LINE_BYTES) uint32_t no_entries[ADDRESS_PAGE_BYTES >> ADDRESS_COARSE_SHIFT];

static void empty_pages(struct address_leaf *leaf)
{
    for (uint32_t i = 0; i < ADDRESS_LEAF_PAGES; i++)
        leaf->pages[i] = (uintptr_t)no_entries | ADDRESS_COARSE_SHIFT;
}

static void free_leaf(struct address_leaf *leaf)
{
    for (uint32_t i = 0; i < ADDRESS_LEAF_PAGES; i++)
        if (address_page_entries(leaf->pages[i]) != no_entries)
            free(address_page_entries(leaf->pages[i]));
    free(leaf);
}

static void free_retired(struct address_table *table)
{
    while (table->retired) {
        void *entries = table->retired;
        memcpy(&table->retired, entries, sizeof table->retired);
        free(entries);
    }
}

int address_table_init(struct address_table *table)
{
    memset(no_entries, 0xff, sizeof no_entries); /* ADDRESS_NO_ENTRY */
    empty_pages(&no_leaf);
    *table = (struct address_table){.root = calloc(LEVEL_ENTRIES, sizeof(void *))};
    for (uint32_t i = 0; i < ADDRESS_CACHE_LEAVES; i++)
        table->cache[i] = &no_leaf;
    return table->root ? 0 : STATUS_NO_MEMORY;
}

void address_table_done(struct address_table *table)
{
    for (uint32_t i = 0; i < table->leaf_count; i++)
        free_leaf(table->leaves[i]);
    for (uint32_t i = 0; table->root && i < LEVEL_ENTRIES; i++) {
        void **middle = table->root[i];
        for (uint32_t j = 0; middle && j < LEVEL_ENTRIES; j++)
            free(middle[j]);
        free(middle);
    }
    free_retired(table);
    free(table->root);
    free(table->leaves);
    free(table->overflow);
    *table = (struct address_table){0};
}

/* The place in the tree that points to the leaf of this key; NULL: the path isn't there (and create is 0), or no memory. */
static struct address_leaf **leaf_place(struct address_table *table, uint64_t key, int create)
{
    void **level = table->root;
    for (int shift = 2 * LEVEL_BITS; shift > 0; shift -= LEVEL_BITS) {
        void **next = &level[key >> shift & (LEVEL_ENTRIES - 1)];
        if (!*next && create)
            *next = calloc(LEVEL_ENTRIES, sizeof(void *));
        if (!*next)
            return NULL;
        level = *next;
    }
    return (struct address_leaf **)&level[key & (LEVEL_ENTRIES - 1)];
}

struct address_leaf *address_table_find_leaf(struct address_table *table, uint64_t key)
{
    struct address_leaf **place = leaf_place(table, key, 0);
    if (!place || !*place)
        return NULL;
    table->cache[key % ADDRESS_CACHE_LEAVES] = *place;
    return *place;
}

static int reserve_leaf_list(struct address_table *table)
{
    if (table->leaf_count < table->leaf_capacity)
        return 0;
    uint32_t capacity = table->leaf_capacity ? 2 * table->leaf_capacity : 64;
    struct address_leaf **leaves = realloc(table->leaves, capacity * sizeof *leaves);
    if (!leaves)
        return STATUS_NO_MEMORY;
    table->leaves = leaves;
    table->leaf_capacity = capacity;
    return 0;
}

struct address_leaf *address_table_make_leaf(struct address_table *table, uint64_t key)
{
    struct address_leaf **place = leaf_place(table, key, 1);
    if (!place)
        return NULL;
    if (!*place) {
        if (reserve_leaf_list(table) != 0)
            return NULL;
        struct address_leaf *leaf = calloc(1, sizeof *leaf);
        if (!leaf)
            return NULL;
        leaf->key = key;
        empty_pages(leaf);
        *place = leaf;
        table->leaves[table->leaf_count++] = *place;
    }
    table->cache[key % ADDRESS_CACHE_LEAVES] = *place;
    return *place;
}

/* ---- overflow: linear probing, deletion by moving back ---- */

static uint32_t overflow_home(const struct address_table *table, uint64_t address)
{
    return (uint32_t)(address * 0x9e3779b97f4a7c15ull >> 32) & (table->overflow_capacity - 1);
}

static struct address_overflow *overflow_find(const struct address_table *table, uint64_t address)
{
    if (table->overflow_count == 0 || address == 0)
        return NULL;
    for (uint32_t i = overflow_home(table, address);; i = (i + 1) & (table->overflow_capacity - 1)) {
        if (table->overflow[i].address == address)
            return &table->overflow[i];
        if (table->overflow[i].address == 0)
            return NULL;
    }
}

static void overflow_put(struct address_table *table, struct address_overflow entry)
{
    uint32_t i = overflow_home(table, entry.address);
    while (table->overflow[i].address)
        i = (i + 1) & (table->overflow_capacity - 1);
    table->overflow[i] = entry;
}

static int overflow_reserve(struct address_table *table)
{
    if (table->overflow_count < table->overflow_capacity / 2)
        return 0;
    struct address_overflow *old = table->overflow;
    uint32_t old_capacity = table->overflow_capacity, capacity = old_capacity ? 2 * old_capacity : FIRST_OVERFLOW;
    struct address_overflow *grown = calloc(capacity, sizeof *grown);
    if (!grown)
        return STATUS_NO_MEMORY;
    table->overflow = grown;
    table->overflow_capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].address)
            overflow_put(table, old[i]);
    free(old);
    return 0;
}

static void overflow_remove(struct address_table *table, struct address_overflow *entry)
{
    uint32_t mask = table->overflow_capacity - 1, hole = (uint32_t)(entry - table->overflow);
    for (uint32_t i = (hole + 1) & mask; table->overflow[i].address; i = (i + 1) & mask) {
        uint32_t home = overflow_home(table, table->overflow[i].address);
        /* May move into the hole unless its home lies cyclically behind the hole. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            table->overflow[hole] = table->overflow[i];
            hole = i;
        }
    }
    table->overflow[hole].address = 0;
    table->overflow_count--;
}

/* ---- any address ---- */

/* The slot that this leaf's entry has for this very address, or above ADDRESS_MAX_SLOT. */
static uint32_t slot_in_leaf(const struct address_leaf *leaf, uint64_t address)
{
    return address & 7 ? SLOT_NONE : address_entry_slot(*address_leaf_entry(leaf, address), address);
}

/* Entries for the page of this address, of granules half as large, or its first. Returns 0 or STATUS_NO_MEMORY. */
COLD static int refine_page(struct address_table *table, struct address_leaf *leaf, uint64_t address)
{
    uintptr_t *page = &leaf->pages[(address >> ADDRESS_PAGE_SHIFT) % ADDRESS_LEAF_PAGES];
    uint32_t *old = address_page_entries(*page);
    unsigned old_shift = address_page_shift(*page), shift = old == no_entries ? ADDRESS_COARSE_SHIFT : old_shift - 1;
    uint32_t *entries = calloc(ADDRESS_PAGE_BYTES >> shift, sizeof *entries);
    if (!entries)
        return STATUS_NO_MEMORY;
    for (uint32_t i = 0; old != no_entries && i < ADDRESS_PAGE_BYTES >> old_shift; i++) {
        /* The entry knows these bits of the address, its index those above. */
        uint32_t in_page = (i << old_shift & ~63u) | old[i] >> ADDRESS_SLOT_BITS << 3;
        if (old[i])
            entries[in_page >> shift] = old[i];
    }
    if (old != no_entries) {
        memcpy(old, &table->retired, sizeof table->retired);
        table->retired = old;
    }
    *page = (uintptr_t)entries | shift;
    return 0;
}

/* The entry that an aligned block at this address may have; NULL: none, or no memory. */
static uint32_t *free_entry(struct address_table *table, struct address_leaf *leaf, uint64_t address)
{
    const uintptr_t *page = &leaf->pages[(address >> ADDRESS_PAGE_SHIFT) % ADDRESS_LEAF_PAGES];
    uint32_t *entry = address_leaf_entry(leaf, address);
    while (*entry) {
        if (address_page_shift(*page) == ADDRESS_FINE_SHIFT || refine_page(table, leaf, address) != 0)
            return NULL;
        entry = address_leaf_entry(leaf, address);
    }
    return entry;
}

uint32_t address_table_find(struct address_table *table, uint64_t address)
{
    struct address_leaf *leaf = address_table_leaf(table, address);
    if (!leaf)
        return SLOT_NONE;
    uint32_t slot = slot_in_leaf(leaf, address);
    if (slot <= ADDRESS_MAX_SLOT)
        return slot;
    struct address_overflow *other = leaf->overflow_count ? overflow_find(table, address) : NULL;
    return other ? other->slot : SLOT_NONE;
}

uint32_t address_table_remove(struct address_table *table, uint64_t address)
{
    uint32_t slot = address_table_find(table, address);
    if (slot == SLOT_NONE)
        return SLOT_NONE;
    struct address_leaf *leaf = address_table_leaf(table, address);
    if (slot_in_leaf(leaf, address) <= ADDRESS_MAX_SLOT) {
        *address_leaf_entry(leaf, address) = 0;
    } else {
        overflow_remove(table, overflow_find(table, address));
        leaf->overflow_count--;
    }
    leaf->live_count--;
    return slot;
}

int address_table_insert(struct address_table *table, uint64_t address, uint32_t slot)
{
    struct address_leaf *leaf = address_table_leaf(table, address);
    if (!leaf)
        leaf = address_table_make_leaf(table, address >> ADDRESS_LEAF_SHIFT);
    if (!leaf || slot > ADDRESS_MAX_SLOT)
        return STATUS_NO_MEMORY;
    uint32_t *entry = address & 7 ? NULL : free_entry(table, leaf, address);
    if (entry) {
        *entry = address_entry_value(address, slot);
    } else {
        if (address == 0 || overflow_reserve(table) != 0)
            return STATUS_NO_MEMORY;
        overflow_put(table, (struct address_overflow){address, slot});
        table->overflow_count++;
        leaf->overflow_count++;
    }
    leaf->live_count++;
    return 0;
}

/* ---- arenas, renumbering, trimming ---- */

int address_table_mark_arena(struct address_table *table, uint64_t start, uint64_t end, int is_arena)
{
    for (uint64_t page = start >> ADDRESS_PAGE_SHIFT; page < (end + ADDRESS_PAGE_BYTES - 1) >> ADDRESS_PAGE_SHIFT; page++) {
        struct address_leaf *leaf = address_table_leaf(table, page << ADDRESS_PAGE_SHIFT);
        if (!leaf && !is_arena)
            continue;
        if (!leaf)
            leaf = address_table_make_leaf(table, page << ADDRESS_PAGE_SHIFT >> ADDRESS_LEAF_SHIFT);
        if (!leaf)
            return STATUS_NO_MEMORY;
        uint64_t bit = page % ADDRESS_LEAF_PAGES;
        if (is_arena)
            leaf->arena_pages[bit / 64] |= 1ull << bit % 64;
        else
            leaf->arena_pages[bit / 64] &= ~(1ull << bit % 64);
    }
    return 0;
}

static void renumber_page(uintptr_t page, const uint32_t *map)
{
    uint32_t *entries = address_page_entries(page);
    const uint32_t slots = (1u << ADDRESS_SLOT_BITS) - 1;
    for (uint32_t i = 0; entries != no_entries && i < ADDRESS_PAGE_BYTES >> address_page_shift(page); i++)
        if (entries[i])
            entries[i] = (map[(entries[i] & slots) - 1] + 1) | (entries[i] & ~slots);
}

void address_table_renumber(struct address_table *table, const uint32_t *map)
{
    for (uint32_t i = 0; i < table->leaf_count; i++)
        for (uint32_t j = 0; j < ADDRESS_LEAF_PAGES; j++)
            renumber_page(table->leaves[i]->pages[j], map);
    for (uint32_t i = 0; i < table->overflow_capacity; i++)
        if (table->overflow[i].address)
            table->overflow[i].slot = map[table->overflow[i].slot];
}

typedef void (*address_call)(void *context, uint64_t address, uint32_t slot);

/* An entry's granule is of 64 bytes at most, in which its top bits say where the block begins. */
static void each_of_page(uint64_t start, uintptr_t page, address_call call, void *context)
{
    uint32_t *entries = address_page_entries(page);
    const uint32_t slots = (1u << ADDRESS_SLOT_BITS) - 1;
    for (uint32_t i = 0; entries != no_entries && i < ADDRESS_PAGE_BYTES >> address_page_shift(page); i++)
        if (entries[i]) {
            uint64_t granule = start + ((uint64_t)i << address_page_shift(page));
            call(context, (granule & ~63ull) + 8 * (entries[i] >> ADDRESS_SLOT_BITS), (entries[i] & slots) - 1);
        }
}

void address_table_each(const struct address_table *table, address_call call, void *context)
{
    for (uint32_t i = 0; i < table->leaf_count; i++)
        for (uint32_t j = 0; j < ADDRESS_LEAF_PAGES; j++)
            each_of_page((table->leaves[i]->key << ADDRESS_LEAF_SHIFT) + ((uint64_t)j << ADDRESS_PAGE_SHIFT), table->leaves[i]->pages[j],
                         call, context);
    for (uint32_t i = 0; i < table->overflow_capacity; i++)
        if (table->overflow[i].address)
            call(context, table->overflow[i].address, table->overflow[i].slot);
}

static int leaf_is_empty(const struct address_leaf *leaf)
{
    uint64_t arenas = 0;
    for (uint32_t i = 0; i < ARRAY_LENGTH(leaf->arena_pages); i++)
        arenas |= leaf->arena_pages[i];
    return leaf->live_count == 0 && arenas == 0;
}

void address_table_trim(struct address_table *table)
{
    free_retired(table);
    for (uint32_t i = 0; i < table->leaf_count;) {
        struct address_leaf *leaf = table->leaves[i];
        if (!leaf_is_empty(leaf)) {
            i++;
            continue;
        }
        *leaf_place(table, leaf->key, 0) = NULL;
        if (table->cache[leaf->key % ADDRESS_CACHE_LEAVES] == leaf)
            table->cache[leaf->key % ADDRESS_CACHE_LEAVES] = &no_leaf;
        table->leaves[i] = table->leaves[--table->leaf_count];
        free_leaf(leaf);
    }
}
