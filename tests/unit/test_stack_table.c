/* stack_table.c against its own definitions: equal stacks get one id, different ones different ids, in any number of threads. */
#include <pthread.h>

#include "capture_fixture.h"
#include "check.h"
#include "stack_table.h"

#define STACKS 40000
#define THREADS 4

static struct define_node defined[STACKS + 2]; /* by id */
static uint32_t defined_count;

static void take_definitions(void)
{
    const struct definition *record;
    while ((record = capture_fixture_next())) {
        CHECK_EQUAL(record->type, DEFINE_NODE);
        CHECK_EQUAL(record->bytes, sizeof *record + sizeof(struct define_node));
        memcpy(&defined[++defined_count], record + 1, sizeof(struct define_node));
        CHECK_EQUAL(defined[defined_count].node_id, defined_count);
        CHECK(defined[defined_count].parent_id < defined_count);
    }
}

struct key {
    uint32_t parent, code;
    int32_t instruction;
};

static uint32_t intern_random(uint64_t *seed, uint32_t parent, struct key *ret_key)
{
    *ret_key = (struct key){parent, 1 + (uint32_t)(check_random(seed) % 50), (int32_t)(check_random(seed) % 20) - 1};
    return stack_table_python(ret_key->parent, ret_key->code, ret_key->instruction);
}

static void check_random_stacks(void)
{
    uint64_t seed = 3;
    for (int round = 0; round < STACKS; round++) {
        struct key key;
        uint32_t parent = defined_count ? (uint32_t)(check_random(&seed) % (defined_count + 1)) : 0;
        uint32_t before = stack_table_count(), id = intern_random(&seed, parent, &key);
        take_definitions();
        CHECK(id && id <= defined_count);
        CHECK_EQUAL(stack_table_count(), defined_count);
        CHECK(defined_count - before <= 1);
        CHECK_EQUAL(defined[id].parent_id, key.parent);
        CHECK_EQUAL(defined[id].code_id, key.code);
        CHECK_EQUAL(defined[id].instruction, key.instruction);
        CHECK_EQUAL(stack_table_python(key.parent, key.code, key.instruction), id);
    }
    CHECK(defined_count > 30000); /* several times as large as the first table */
}

static void check_kinds(void)
{
    uint32_t cut = stack_table_cut(), native = stack_table_native(0, 3, 0x7f0000001234), elsewhere = stack_table_native(0, 4, 0x7f0000001234);
    uint32_t python = stack_table_python(0, 3, 0x1234);
    CHECK_EQUAL(stack_table_cut(), cut);
    CHECK_EQUAL(stack_table_native(0, 3, 0x7f0000001234), native);
    CHECK(native != elsewhere && native != python && cut != native);
    const struct definition *record = capture_fixture_next();
    const struct define_node *node = (const void *)(record + 1);
    CHECK_EQUAL(node->code_id, DEFINE_NODE_CUT);
    CHECK_EQUAL(node->parent_id, 0);
    record = capture_fixture_next();
    node = (const void *)(record + 1);
    CHECK_EQUAL(node->code_id, 0);
    CHECK_EQUAL(node->module_id, 3);
    CHECK_EQUAL(node->address, 0x7f0000001234);
    capture_fixture_discard();
}

static uint32_t ids[THREADS][STACKS / 4];

static void *intern_same(void *results)
{
    uint64_t seed = 99;
    capture_fixture_thread();
    uint32_t *to = results, parent = 0;
    for (int i = 0; i < STACKS / 4; i++) {
        struct key key;
        to[i] = intern_random(&seed, i % 8 ? parent : 0, &key);
        parent = to[i];
    }
    return NULL;
}

static void check_threads(void)
{
    pthread_t threads[THREADS];
    uint32_t before = stack_table_count();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, intern_same, ids[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < THREADS; i++)
        CHECK_BYTES(ids[i], ids[0], sizeof ids[0]);
    uint32_t added = 0;
    const struct definition *record;
    while ((record = capture_fixture_next()))
        CHECK_EQUAL(((const struct define_node *)(record + 1))->node_id, before + ++added);
    CHECK_EQUAL(stack_table_count(), before + added);
}

/* What can't be defined has no id, and is counted. */
static void check_lost(void)
{
    uint64_t unsafe = recorder_session->unsafe_stacks;
    recorder_session->collector_state = COLLECTOR_GONE;
    recorder_session->definition_head = recorder_session->definition_tail + SESSION_DEFINITION_BYTES;
    uint32_t known = ids[0][0];
    CHECK_EQUAL(stack_table_python(known, 77777, 5), 0);
    CHECK_EQUAL(recorder_session->unsafe_stacks, unsafe + 1);
    CHECK_EQUAL(stack_table_cut() != 0, 1);
}

int main(void)
{
    capture_fixture_begin();
    check_random_stacks();
    check_kinds();
    check_threads();
    check_lost();
    return 0;
}
