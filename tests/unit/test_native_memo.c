/* native_memo.c: stacks by hash, guessed or looked up, and never a wrong one. */
#include "capture_fixture.h"
#include "check.h"
#include "native_memo.h"

#define STACKS 100000u

static uint64_t hash_of(uint32_t number)
{
    return native_memo_hash(native_memo_hash(7, number), number / 3);
}

static uint32_t define(uint32_t number)
{
    uint32_t node = stack_table_native(0, 3, 0x1000 + number, hash_of(number));
    CHECK(node);
    capture_fixture_discard();
    return node;
}

int main(void)
{
    uint32_t last = 0, other = 0;
    capture_fixture_begin();
    CHECK_EQUAL(native_memo_find(&last, hash_of(1)), 0);
    CHECK_EQUAL(last, 0);

    uint32_t first = define(1), second = define(2), third = define(3);
    CHECK_EQUAL(native_memo_keep(&last, hash_of(1), first), first);
    CHECK_EQUAL(native_memo_keep(&last, hash_of(2), second), second);
    CHECK_EQUAL(native_memo_keep(&last, hash_of(3), third), third);
    CHECK_EQUAL(last, third);
    /* In the same order, in another one, and again and again. */
    for (int round = 0; round < 3; round++) {
        CHECK_EQUAL(native_memo_find(&other, hash_of(1)), first);
        CHECK_EQUAL(native_memo_find(&other, hash_of(2)), second);
        CHECK_EQUAL(native_memo_find(&other, hash_of(3)), third);
        CHECK_EQUAL(native_memo_find(&other, hash_of(3)), third);
        CHECK_EQUAL(native_memo_find(&other, hash_of(1)), first);
    }
    /* A node whose stack has another hash by now (in another module epoch) isn't found by the old one. */
    CHECK_EQUAL(stack_table_native(0, 3, 0x1000 + 1, hash_of(STACKS + 1)), first);
    CHECK_EQUAL(native_memo_find(&other, hash_of(1)), 0);
    CHECK_EQUAL(native_memo_keep(&other, hash_of(STACKS + 1), first), first);
    CHECK_EQUAL(native_memo_find(&other, hash_of(STACKS + 1)), first);

    /* More than the table holds: forgotten ones are unknown, no more. */
    static uint32_t nodes[STACKS];
    unsigned known = 0;
    for (uint32_t i = 10; i < STACKS; i++)
        native_memo_keep(&last, hash_of(i), nodes[i] = define(i));
    for (uint32_t i = STACKS; i-- > 10;) {
        uint32_t node = native_memo_find(&other, hash_of(i));
        CHECK(node == 0 || node == nodes[i]);
        known += node != 0;
    }
    CHECK(known > STACKS / 3 && known < STACKS);
    return 0;
}
