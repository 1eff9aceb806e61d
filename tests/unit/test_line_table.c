/* The three formats of CPython's line tables: small ones worked out by hand, and damaged ones. tests/integration/test_line_tables.py
 * compares with whole standard libraries. */
#include "check.h"
#include "line_table.h"

/* By a walk of its own. */
static int32_t find_alone(const struct line_table *table, int32_t instruction)
{
    struct line_cursor cursor;
    line_cursor_begin(&cursor, table);
    return line_cursor_find(&cursor, instruction);
}

/* In rising order, every so many instructions: the same as one by one. */
static void walk(const struct line_table *table, int32_t step)
{
    struct line_cursor cursor;
    line_cursor_begin(&cursor, table);
    for (int32_t instruction = -1; instruction < 300; instruction += step)
        CHECK_EQUAL(line_cursor_find(&cursor, instruction), find_alone(table, instruction));
}

static int32_t find(uint32_t version, int32_t first_line, const void *bytes, size_t count, int32_t instruction)
{
    /* A copy of exactly that size: ASan sees a read beyond it. */
    uint8_t *copy = malloc(count ? count : 1);
    CHECK(copy);
    memcpy(copy, bytes, count);
    struct line_table table = {copy, count, version, first_line};
    int32_t line = find_alone(&table, instruction);
    walk(&table, 1);
    walk(&table, 3);
    free(copy);
    return line;
}

/* (bytes of code, lines) before what they apply to; the second pair goes back by two. */
static void lnotab(void)
{
    static const uint8_t table[] = {4, 1, 6, 0xfe, 255, 0, 3, 10};
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, 0), 100);
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, 2), 100);
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, 4), 101);
    CHECK_EQUAL(find(0x0308, 100, table, sizeof table, 8), 101);
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, 10), 99);
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, 266), 99);
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, 268), 109);
    CHECK_EQUAL(find(0x0309, 100, table, sizeof table, -1), 0);
    CHECK_EQUAL(find(0x0309, 7, table, 0, 20), 7);
}

/* (bytes of code that it applies to, lines); 0x80: no line. Instructions count in units of two bytes. */
static void linetable(void)
{
    static const uint8_t table[] = {4, 0, 2, 0x80, 6, 5, 2, 0xfd};
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 0), 10);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 1), 10);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 2), 0);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 3), 15);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 5), 15);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 6), 12);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, 7), 0);
    CHECK_EQUAL(find(0x030a, 10, table, sizeof table, -1), 0);
}

static void location_table(void)
{
    static const uint8_t table[] = {
        0x80 | 0 << 3 | 1, 0x12,             /* 2 units, same line */
        0x80 | 11 << 3 | 0, 1, 2,            /* 1 unit, one line on */
        0x80 | 15 << 3 | 2,                  /* 3 units without a line */
        0x80 | 13 << 3 | 0, 5 << 1 | 1,      /* 1 unit, five lines back */
        0x80 | 14 << 3 | 7, 0x40 | 40, 2, 0, 1, 2, /* 8 units, 84 lines on: varint 168 = 40 + (2 << 6) */
        0x80 | 12 << 3 | 0, 0, 0,            /* 1 unit, two lines on */
    };
    static const int32_t lines[] = {50, 50, 51, 0, 0, 0, 46, 130, 130, 130, 130, 130, 130, 130, 130, 132, 0};
    for (int32_t i = 0; i < 17; i++)
        CHECK_EQUAL(find(0x030b + (uint32_t)(i % 4), 50, table, sizeof table, i), lines[i]);
}

/* Lines outside of 1 to 2^31 - 1 are none, however they come about. */
static void impossible_lines(void)
{
    static const uint8_t back[] = {0x80 | 13 << 3, 20 << 1 | 1};
    static const uint8_t far[] = {0x80 | 13 << 3, 0x7e, 0x7f, 0x7f, 0x7f, 0x7f, 0x03, 0x80 | 13 << 3, 0x7e, 0x7f, 0x7f, 0x7f, 0x7f, 0x03};
    CHECK_EQUAL(find(0x030c, 20, back, sizeof back, 0), 0);
    CHECK_EQUAL(find(0x030c, 21, back, sizeof back, 0), 1);
    CHECK_EQUAL(find(0x030c, 100, far, sizeof far, 1), 0);
}

static void noise(void)
{
    uint64_t random = 42;
    uint8_t table[64];
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof table; i++)
            table[i] = (uint8_t)(check_random(&random) >> 40);
        int32_t line = find(0x0308 + (uint32_t)(round % 8), (int32_t)check_random(&random), table, check_random(&random) % sizeof table,
                            (int32_t)(check_random(&random) % 200) - 2);
        CHECK(line >= 0);
    }
}

int main(void)
{
    lnotab();
    linetable();
    location_table();
    impossible_lines();
    noise();
    return 0;
}
