/* Stacks are numbered by their first event; their copies are kept aside. Places are numbered once each. */
#include "check.h"
#include "place_table.h"
#include "stack_uses.h"

static void numbers(void)
{
    struct stack_uses uses;
    CHECK_EQUAL(stack_uses_init(&uses), 0);
    CHECK_EQUAL(stack_uses_extend(&uses, 10), 0);
    CHECK_EQUAL(stack_uses_get(&uses, 7), 1);
    CHECK_EQUAL(stack_uses_get(&uses, 0), 2);
    CHECK_EQUAL(stack_uses_get(&uses, 7), 1);
    CHECK_EQUAL(stack_uses_extend(&uses, 100000), 0);
    for (uint32_t id = 99999; id >= 10; id--)
        CHECK_EQUAL(stack_uses_get(&uses, id), 3 + 99999 - id);
    CHECK_EQUAL(uses.use_count, 3 + 99990);
    CHECK_EQUAL(uses.ids[7], 1);
    CHECK_EQUAL(uses.ids[8], 0);
    CHECK_EQUAL(uses.uses[99990].live_bytes, 0);
    stack_uses_done(&uses);
}

static void copies(void)
{
    struct stack_uses uses;
    CHECK_EQUAL(stack_uses_init(&uses), 0);
    CHECK_EQUAL(stack_uses_extend(&uses, 1000), 0);
    for (uint32_t id = 0; id < 1000; id++)
        for (uint32_t i = 0; i < 2; i++)
            CHECK_EQUAL(stack_uses_count_copies(&uses, stack_uses_get(&uses, id), id, 1), 0);
    CHECK_EQUAL(uses.copy_count, 1001);
    CHECK_EQUAL(uses.copies[uses.uses[uses.ids[700]].copy_id].bytes, 1400);
    CHECK_EQUAL(uses.copies[uses.uses[uses.ids[700]].copy_id].count, 2);
    CHECK_EQUAL(uses.copies[0].count, 0);
    stack_uses_done(&uses);
}

static void places(void)
{
    struct place_table table;
    CHECK_EQUAL(place_table_init(&table), 0);
    for (uint32_t i = 0; i < 50000; i++) {
        struct place place = {.position = i / 10, .owner_id = i % 5, .kind = i % 10 / 5};
        CHECK_EQUAL(place_table_intern(&table, &place), i + 1);
    }
    for (uint32_t i = 0; i < 50000; i++) {
        struct place place = {.position = i / 10, .owner_id = i % 5, .kind = i % 10 / 5};
        CHECK_EQUAL(place_table_intern(&table, &place), i + 1);
    }
    CHECK_EQUAL(table.place_count, 50001);
    CHECK_EQUAL(table.places[0].position | table.places[0].owner_id | table.places[0].kind, 0);
    place_table_done(&table);
}

int main(void)
{
    numbers();
    copies();
    places();
    return 0;
}
