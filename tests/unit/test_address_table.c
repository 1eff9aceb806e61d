/* address_table.c against a plain array of what should be live. */
#include "address_table.h"
#include "check.h"
#include "status.h"

#define BLOCKS 20000

static struct { uint64_t address; uint32_t slot; } model[BLOCKS];

static uint64_t random_address(uint64_t *seed)
{
    static const uint64_t regions[] = {0x555555554000, 0x7ffff0000000, 0x10000, 0xfffffffffff000ull >> 1, 0x7fffffe00000};
    uint64_t number = check_random(seed);
    /* Dense enough that granules are shared, and at every alignment; some of it beyond 47 bits. */
    uint64_t unaligned = number % 16 == 0 ? number >> 8 & 7 : 0;
    return regions[number >> 60 & 3] + (number >> 16 & 0x7ffff) / 8 * 8 * 4 + unaligned + 1 * (number >> 40 & 8);
}

static int find_in_model(uint64_t address)
{
    for (int i = 0; i < BLOCKS; i++)
        if (model[i].slot && model[i].address == address)
            return i;
    return -1;
}

static void check_random_use(void)
{
    struct address_table table;
    uint64_t seed = 42;
    CHECK_EQUAL(address_table_init(&table), 0);
    for (int round = 0; round < 60000; round++) {
        int i = (int)(check_random(&seed) % 300);
        if (model[i].slot) {
            CHECK_EQUAL(address_table_find(&table, model[i].address), model[i].slot);
            CHECK_EQUAL(address_table_remove(&table, model[i].address), model[i].slot);
            CHECK_EQUAL(address_table_find(&table, model[i].address), SLOT_NONE);
            model[i].slot = 0;
        } else {
            uint64_t address = random_address(&seed);
            if (find_in_model(address) >= 0)
                continue;
            CHECK_EQUAL(address_table_remove(&table, address), SLOT_NONE);
            model[i].address = address;
            model[i].slot = (uint32_t)round + 1;
            CHECK_EQUAL(address_table_insert(&table, address, model[i].slot), 0);
        }
        if (round % 5000 == 0)
            address_table_trim(&table);
    }
    uint32_t *map = calloc(60001, sizeof *map);
    for (uint32_t i = 0; i <= 60000; i++)
        map[i] = 70000 - i;
    address_table_renumber(&table, map);
    for (int i = 0; i < 300; i++)
        if (model[i].slot)
            CHECK_EQUAL(address_table_remove(&table, model[i].address), 70000 - model[i].slot);
    CHECK_EQUAL(table.overflow_count, 0);
    address_table_trim(&table);
    CHECK_EQUAL(table.leaf_count, 0);
    free(map);
    address_table_done(&table);
}

static void check_shared_granules(void)
{
    struct address_table table;
    CHECK_EQUAL(address_table_init(&table), 0);
    for (uint64_t offset = 0; offset < 64; offset++)
        CHECK_EQUAL(address_table_insert(&table, 0x7f0000001000 + offset, (uint32_t)offset), 0);
    CHECK_EQUAL(table.overflow_count, 60); /* four granules hold one each */
    for (uint64_t offset = 0; offset < 64; offset += 2)
        CHECK_EQUAL(address_table_remove(&table, 0x7f0000001000 + offset), offset);
    for (uint64_t offset = 1; offset < 64; offset += 2)
        CHECK_EQUAL(address_table_find(&table, 0x7f0000001000 + offset), offset);
    CHECK_EQUAL(address_table_find(&table, 0x7f0000001000), SLOT_NONE);
    address_table_done(&table);
}

static uint32_t entries_of(const struct address_leaf *leaf, uint64_t address)
{
    return ADDRESS_PAGE_BYTES >> address_page_shift(leaf->pages[(address >> ADDRESS_PAGE_SHIFT) % ADDRESS_LEAF_PAGES]);
}

/* A page has as many entries as its smallest blocks need, and loses nothing when it gets more. */
static void check_granules(uint64_t step, uint64_t first, uint32_t expected)
{
    struct address_table table;
    uint64_t page = 0x7f0000345000;
    CHECK_EQUAL(address_table_init(&table), 0);
    for (uint64_t at = first; at < ADDRESS_PAGE_BYTES; at += step)
        CHECK_EQUAL(address_table_insert(&table, page + at, (uint32_t)at), 0);
    CHECK_EQUAL(entries_of(address_table_leaf(&table, page), page), expected);
    CHECK_EQUAL(table.overflow_count, 0);
    address_table_trim(&table);
    for (uint64_t at = 0; at < ADDRESS_PAGE_BYTES; at++)
        CHECK_EQUAL(address_table_find(&table, page + at), at >= first && (at - first) % step == 0 ? at : SLOT_NONE);
    CHECK_EQUAL(address_table_find(&table, page + ADDRESS_PAGE_BYTES + first), SLOT_NONE);
    for (uint64_t at = first; at < ADDRESS_PAGE_BYTES; at += step)
        CHECK_EQUAL(address_table_remove(&table, page + at), at);
    address_table_trim(&table);
    CHECK_EQUAL(table.leaf_count, 0);
    address_table_done(&table);
}

static void check_arenas(void)
{
    struct address_table table;
    uint64_t start = 0x7f00001ff000; /* the last page of a leaf's 2 MiB */
    CHECK_EQUAL(address_table_init(&table), 0);
    CHECK_EQUAL(address_table_mark_arena(&table, start, start + 0x3000, 1), 0);
    CHECK_EQUAL(address_table_mark_arena(&table, start + 0x1000, start + 0x2000, 0), 0);
    CHECK_EQUAL(table.leaf_count, 2);
    CHECK(address_leaf_is_arena(address_table_leaf(&table, start), start + 0xfff));
    CHECK(!address_leaf_is_arena(address_table_leaf(&table, start - 1), start - 1));
    CHECK(!address_leaf_is_arena(address_table_leaf(&table, start + 0x1000), start + 0x1000));
    CHECK(address_leaf_is_arena(address_table_leaf(&table, start + 0x2000), start + 0x2000));
    address_table_trim(&table);
    CHECK_EQUAL(table.leaf_count, 2);
    CHECK_EQUAL(address_table_mark_arena(&table, start, start + 0x3000, 0), 0);
    address_table_trim(&table);
    CHECK_EQUAL(table.leaf_count, 0);
    CHECK(address_table_leaf(&table, start) == NULL);
    address_table_done(&table);
}

static void check_limits(void)
{
    struct address_table table;
    CHECK_EQUAL(address_table_init(&table), 0);
    CHECK_EQUAL(address_table_insert(&table, 0x1000, ADDRESS_MAX_SLOT), 0);
    CHECK_EQUAL(address_table_find(&table, 0x1000), ADDRESS_MAX_SLOT);
    CHECK_EQUAL(address_table_insert(&table, 0x2000, ADDRESS_MAX_SLOT + 1), STATUS_NO_MEMORY);
    CHECK_EQUAL(address_table_insert(&table, 0xfffffffffffff8, 5), 0); /* the highest an event can name */
    CHECK_EQUAL(address_table_remove(&table, 0xfffffffffffff8), 5);
    CHECK_EQUAL(address_table_find(&table, 0), SLOT_NONE);
    /* Not even with others of its granule, which it could be mistaken for an empty place of the overflow. */
    for (uint64_t address = 1; address < 16; address++)
        CHECK_EQUAL(address_table_insert(&table, address, (uint32_t)address), 0);
    CHECK_EQUAL(address_table_remove(&table, 0), SLOT_NONE);
    CHECK_EQUAL(table.overflow_count, 14);
    address_table_done(&table);
}

int main(void)
{
    check_random_use();
    check_shared_granules();
    check_granules(64, 16, 64);
    check_granules(128, 56, 64);
    check_granules(48, 0, 128);
    check_granules(32, 16, 128);
    check_granules(16, 8, 256);
    check_arenas();
    check_limits();
    return 0;
}
