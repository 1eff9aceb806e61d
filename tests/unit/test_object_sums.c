/* object_sums.c: blocks added up by stack and type, each once; names of types; paths. */
#include "check.h"
#include "object_sums.h"

#define MANY 9000u /* more than fit without growing, twice */

static struct live_slots slots;
static struct object_sums sums;

static uint32_t live(uint32_t stack_id, uint64_t bytes)
{
    return live_slots_take(&slots, bytes, 0, stack_id, 0);
}

static void begin(uint32_t slot_count)
{
    CHECK(object_sums_init(&sums, slot_count));
}

static void end(void)
{
    object_sums_done(&sums);
    live_slots_done(&slots);
    live_slots_init(&slots);
}

static void check_sum(uint32_t index, uint32_t stack_id, uint32_t type_id, uint64_t count, uint64_t bytes)
{
    CHECK_EQUAL(sums.sums[index].stack_id, stack_id);
    CHECK_EQUAL(sums.sums[index].type_id, type_id);
    CHECK_EQUAL(sums.sums[index].count, count);
    CHECK_EQUAL(sums.sums[index].bytes, bytes);
}

static void test_sums(void)
{
    uint32_t first = live(5, 100), table = live(5, 50), large = live(6, UINT64_C(1) << 30), gone = live(6, 7), last = live(5, 9);
    live_slots_release(&slots, gone);
    begin(slots.used_count);
    uint32_t late = live(5, 1000); /* takes the free slot */
    uint32_t later = live(5, 2000);
    CHECK(late == gone && later >= sums.slot_count);
    object_sums_add(&sums, &slots, first, 2, 1);
    object_sums_add(&sums, &slots, first, 2, 1); /* once is enough, */
    object_sums_add(&sums, &slots, first, 3, 1); /* whatever is said the second time */
    object_sums_add(&sums, &slots, table, 2, 0);
    object_sums_add(&sums, &slots, large, 3, 1);
    object_sums_add(&sums, &slots, last, 0, 1);  /* of no type */
    object_sums_add(&sums, &slots, later, 2, 1); /* the survey began without it */
    object_sums_end(&sums, &slots);
    CHECK_EQUAL(sums.sum_count, 2);
    check_sum(0, 6, 3, 1, UINT64_C(1) << 30);
    check_sum(1, 5, 2, 1, 150);
    end();
}

static void test_released(void)
{
    uint32_t kept = live(1, 10), gone = live(1, 20);
    live_slots_release(&slots, gone);
    begin(slots.used_count);
    object_sums_add(&sums, &slots, kept, 1, 1);
    object_sums_add(&sums, &slots, gone, 1, 1);
    object_sums_add_maybe(&sums, gone, 1);
    object_sums_end(&sums, &slots);
    CHECK_EQUAL(sums.sum_count, 1);
    check_sum(0, 1, 1, 1, 10);
    end();
}

/* A block that may be an object's own: only if no object was found at it, and the first that named it has it. */
static void test_maybes(void)
{
    uint32_t object = live(1, 100), seen = live(1, 30), own = live(2, 40), disputed = live(2, 50);
    begin(slots.used_count);
    object_sums_add(&sums, &slots, object, 1, 1);
    object_sums_add(&sums, &slots, seen, 2, 1);
    object_sums_add_maybe(&sums, seen, 1); /* known already */
    object_sums_add_maybe(&sums, own, 1);
    object_sums_add_maybe(&sums, disputed, 2);
    object_sums_add_maybe(&sums, disputed, 1);
    uint32_t found_later = own; /* an object stands there after all */
    object_sums_add(&sums, &slots, found_later, 3, 1);
    object_sums_end(&sums, &slots);
    CHECK_EQUAL(sums.sum_count, 4);
    check_sum(0, 1, 1, 1, 100);
    check_sum(1, 2, 2, 0, 50);
    check_sum(2, 2, 3, 1, 40);
    check_sum(3, 1, 2, 1, 30);
    end();
}

/* Those of equal bytes by stack, then by type; as many as there are. */
static void test_many(void)
{
    uint32_t stacks = 300, types = MANY / 300;
    for (uint32_t i = 0; i < MANY; i++)
        live(i % stacks, 16);
    for (uint32_t i = 0; i < MANY; i++)
        live(i % stacks, 48);
    begin(slots.used_count);
    for (uint32_t i = 0; i < 2 * MANY; i++)
        object_sums_add(&sums, &slots, i, 1 + i % MANY / stacks, i < MANY);
    object_sums_end(&sums, &slots);
    CHECK(!sums.failed);
    CHECK_EQUAL(sums.sum_count, MANY);
    for (uint32_t i = 0; i < MANY; i++)
        check_sum(i, i / types, 1 + i % types, 1, 64);
    end();
}

static void test_types(void)
{
    char name[16];
    begin(0);
    object_sums_add_type(&sums, 2, "out of turn", 11);
    CHECK_EQUAL(sums.type_count, 0);
    for (uint32_t id = 1; id <= 1000; id++)
        object_sums_add_type(&sums, id, name, (uint32_t)snprintf(name, sizeof name, "type %u", id));
    object_sums_add_type(&sums, 1, "again", 5);
    object_sums_add_type(&sums, 1001, "cut here", 3);
    object_sums_add_type(&sums, 1003, "out of turn", 11);
    CHECK_EQUAL(sums.type_count, 1002);
    CHECK(sums.types[0] == NULL && !sums.failed);
    CHECK(!strcmp(sums.types[1], "type 1") && !strcmp(sums.types[1000], "type 1000") && !strcmp(sums.types[1001], "cut"));
    end();
}

static void test_paths(void)
{
    begin(0);
    for (uint32_t i = 0; i < 4096; i++)
        object_sums_add_path(&sums, i, "module\tapp\tmodule\nrest", 18);
    CHECK(!sums.failed);
    CHECK_EQUAL(sums.path_count, 4096);
    CHECK_EQUAL(sums.paths[4095].target, 4095);
    CHECK(!strcmp(sums.paths[4095].steps, "module\tapp\tmodule\n"));
    object_sums_add_path(&sums, 1, "one too many", 12);
    CHECK(sums.failed);
    CHECK_EQUAL(sums.path_count, 4096);
    end();
}

int main(void)
{
    live_slots_init(&slots);
    test_sums();
    test_released();
    test_maybes();
    test_many();
    test_types();
    test_paths();
    return 0;
}
