/* object_memory.c: which addresses have been seen, and the nodes in their order; and that it ends where it is bounded. */
#include "check.h"
#include "object_memory.h"

static struct object_memory memory;

static void begin(void)
{
    memory = (struct object_memory){0};
    CHECK(object_memory_init(&memory));
}

static void test_seen(void)
{
    static const uint64_t addresses[] = {0x10, 0x20, 0x7f0000000000, 0x7f0000000010, 0x7f00000ffff0, 0x7f0000100000, 0x7fffffffffe0, 0};
    begin();
    for (int round = 0; round < 2; round++)
        for (unsigned i = 0; i < sizeof addresses / sizeof *addresses; i++)
            CHECK_EQUAL(object_memory_see(&memory, addresses[i]), round == 0);
    CHECK_EQUAL(object_memory_see(&memory, 0x18), 0); /* 16 bytes are one */
    CHECK_EQUAL(memory.region_count, 4);
    object_memory_done(&memory);
}

/* Every sixteenth byte of 4 MiB, backwards, and again. */
static void test_every_bit(void)
{
    uint64_t start = 0x55550007f000, fresh = 0;
    begin();
    for (uint64_t at = start + (4u << 20); at > start; at -= 16)
        fresh += (uint64_t)object_memory_see(&memory, at);
    CHECK_EQUAL(fresh, (4u << 20) / 16);
    for (uint64_t at = start + 16; at <= start + (4u << 20); at += 16)
        CHECK_EQUAL(object_memory_see(&memory, at), 0);
    CHECK_EQUAL(memory.region_count, 5);
    CHECK(!memory.is_full);
    object_memory_done(&memory);
}

static void test_nodes(void)
{
    uint32_t count = 2 * NODES_A_SLAB + 3;
    begin();
    for (uint32_t i = 0; i < count; i++)
        CHECK(object_memory_push(&memory, 16ull * i, i / 2));
    CHECK_EQUAL(memory.node_count, count);
    CHECK_EQUAL(memory.slab_count, 3);
    for (uint32_t i = 0; i < count; i++) {
        struct object_node node = object_memory_node(&memory, i);
        CHECK_EQUAL(node.object, 16ull * i);
        CHECK_EQUAL(node.parent, i / 2);
    }
    object_memory_done(&memory);
}

/* As if all slabs but one were in use. */
static void test_full(void)
{
    begin();
    CHECK(object_memory_push(&memory, 16, 0));
    uint32_t used = memory.slab_count;
    memory.slab_count = OBJECT_MAX_SLABS;
    for (uint32_t i = 1; i < NODES_A_SLAB; i++)
        CHECK(object_memory_push(&memory, 16, 0));
    CHECK(!memory.is_full);
    CHECK_EQUAL(object_memory_push(&memory, 16, 0), 0);
    CHECK(memory.is_full);
    CHECK_EQUAL(memory.node_count, NODES_A_SLAB);
    memory.is_full = 0;
    CHECK_EQUAL(object_memory_see(&memory, 0x100), 0); /* not known: as if it had been seen */
    CHECK(memory.is_full);
    memory.slab_count = used;
    CHECK_EQUAL(object_memory_see(&memory, 0x100), 1);
    object_memory_done(&memory);
}

int main(void)
{
    test_seen();
    test_every_bit();
    test_nodes();
    test_full();
    return 0;
}
