/* mapping_table.c against an array of pages. */
#include "check.h"
#include "mapping_table.h"

#define PAGES 4000
#define PAGE 4096ull
#define BASE 0x7f0000000000ull

static uint32_t model[PAGES]; /* slot + 1 of each page */

/* Cut and compare, piece by piece: in order, whole runs of one mapping, nothing else. */
static void cut_and_check(struct mapping_table *table, uint32_t first, uint32_t count)
{
    struct mapping piece;
    uint32_t page = first, end = first + count;
    while (mapping_table_cut(table, BASE + first * PAGE, BASE + end * PAGE, &piece) == 1) {
        while (page < end && model[page] == 0)
            page++;
        CHECK_EQUAL(piece.start, BASE + page * PAGE);
        CHECK(piece.end > piece.start);
        for (; BASE + page * PAGE < piece.end; page++) {
            CHECK_EQUAL(model[page], piece.slot + 1);
            model[page] = 0;
        }
        CHECK_EQUAL(piece.end, BASE + page * PAGE);
    }
    for (uint32_t i = first; i < end; i++)
        CHECK_EQUAL(model[i], 0);
}

static void check_random_use(void)
{
    struct mapping_table table;
    uint64_t seed = 7;
    mapping_table_init(&table);
    for (uint32_t round = 0; round < 100000; round++) {
        uint32_t first = (uint32_t)(check_random(&seed) % PAGES), most = round % 1000 ? 8 : PAGES;
        uint32_t count = 1 + (uint32_t)(check_random(&seed) % most);
        if (first + count > PAGES)
            count = PAGES - first;
        cut_and_check(&table, first, count);
        if (check_random(&seed) % 3 == 0)
            continue;
        struct mapping mapping = {BASE + first * PAGE, BASE + (first + count) * PAGE, round, 0};
        CHECK_EQUAL(mapping_table_add(&table, &mapping), 0);
        for (uint32_t i = first; i < first + count; i++)
            model[i] = round + 1;
    }
    cut_and_check(&table, 0, PAGES);
    CHECK_EQUAL(table.chunk_count, 0);
    mapping_table_done(&table);
}

static void check_uneven_end(void)
{
    struct mapping_table table;
    struct mapping piece, mapping = {BASE, BASE + 3 * PAGE + 100, 9, 1};
    mapping_table_init(&table);
    CHECK_EQUAL(mapping_table_add(&table, &mapping), 0);
    CHECK_EQUAL(mapping_table_cut(&table, BASE + PAGE, BASE + 2 * PAGE, &piece), 1);
    CHECK_EQUAL(piece.start, BASE + PAGE);
    CHECK_EQUAL(piece.end, BASE + 2 * PAGE);
    CHECK_EQUAL(piece.is_arena, 1);
    uint32_t map[10] = {[9] = 4};
    mapping_table_renumber(&table, map);
    CHECK_EQUAL(mapping_table_cut(&table, BASE + 2 * PAGE, BASE + 4 * PAGE, &piece), 1);
    CHECK_EQUAL(piece.end - piece.start, PAGE + 100);
    CHECK_EQUAL(piece.slot, 4);
    CHECK_EQUAL(mapping_table_cut(&table, BASE + 2 * PAGE, BASE + 4 * PAGE, &piece), 0);
    CHECK_EQUAL(mapping_table_cut(&table, 0, ~0ull, &piece), 1);
    CHECK_EQUAL(piece.end - piece.start, PAGE);
    mapping_table_done(&table);
}

int main(void)
{
    check_random_use();
    check_uneven_end();
    return 0;
}
