/* stack_table.c against its own definitions: equal stacks get one id, different ones different ids, in any number of threads; a prediction is
 * right or none. With an argument: the table begins small, as where addresses are limited, and has to move. */
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "capture_fixture.h"
#include "check.h"
#include "stack_table.h"

#define STACKS 40000
#define THREADS 4

static struct define_node defined[STACKS + 20]; /* by id */
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
    CHECK(defined_count > 30000); /* several times as large as the first index, and as the first table where that is small */
}

static void check_kinds(void)
{
    uint32_t cut = stack_table_cut(0), native = stack_table_native(0, 3, 0x7f0000001234, 0), elsewhere = stack_table_native(0, 4, 0x7f0000001234, 0);
    uint32_t python = stack_table_python(0, 3, 0x1234);
    CHECK_EQUAL(stack_table_cut(0), cut);
    CHECK_EQUAL(stack_table_native(0, 3, 0x7f0000001234, 0), native);
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
    CHECK_EQUAL(stack_table_cut(0) != 0, 1);
}

/* Callees of one caller, asked for in a cycle: the second time round each is known by the one before, whatever the hint. */
static void check_predictions(void)
{
    uint32_t caller = stack_table_python(0, 40, 40), other = stack_table_python(0, 40, 41), callees[5], tag = stack_tag_of_epoch(7);
    for (uint32_t i = 0; i < 5; i++) {
        CHECK_EQUAL(stack_table_predict(caller, 0, 1000 + i, tag), 0);
        callees[i] = stack_table_python(caller, 41, (int32_t)i);
        stack_table_remember(callees[i], caller, i ? callees[i - 1] : other, 1000 + i, tag);
    }
    stack_table_remember(callees[0], caller, callees[4], 1000, tag);
    for (uint32_t i = 0; i < 20; i++) {
        uint32_t before = callees[i % 5], after = callees[(i + 1) % 5];
        CHECK_EQUAL(stack_table_predict(caller, before, 1000 + (i + 1) % 5, tag), after);
        CHECK_EQUAL(stack_table_predict(caller, before, 1000 + i % 5, tag), before);
        CHECK_EQUAL(stack_table_predict(caller, before, 1000 + (i + 2) % 5, tag), 0);
        CHECK_EQUAL(stack_table_predict(caller, before, 1000 + (i + 1) % 5, stack_tag_of_epoch(8)), 0);
        CHECK_EQUAL(stack_table_predict(other, before, 1000 + (i + 1) % 5, tag), 0);
    }
    /* The same frames in another epoch, at other addresses. */
    stack_table_remember(callees[1], caller, callees[0], 1000, stack_tag_of_epoch(8));
    CHECK_EQUAL(stack_table_predict(caller, callees[0], 1000, stack_tag_of_epoch(8)), callees[1]);
    CHECK_EQUAL(stack_table_predict(caller, callees[0], 1000, tag), callees[0]);
    CHECK_EQUAL(stack_table_predict(caller, callees[0], 1001, tag), 0);
    take_definitions();
}

/* The first table is made with this much address space left. */
static void begin_small(void)
{
    struct rlimit lowered, normal;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1 && fclose(file) == 0);
    CHECK_EQUAL(getrlimit(RLIMIT_AS, &normal), 0);
    lowered = normal;
    lowered.rlim_cur = pages * (rlim_t)getpagesize() + (1 << 20);
    CHECK_EQUAL(setrlimit(RLIMIT_AS, &lowered), 0);
    CHECK_EQUAL(stack_table_python(0, 1, 1), 1);
    CHECK_EQUAL(setrlimit(RLIMIT_AS, &normal), 0);
    take_definitions();
}

/* What the trace has no room for is not kept here either; what is known stays known. */
static void check_closed(void)
{
    uint32_t known = stack_table_python(0, 900, 1), count = stack_table_count();
    uint64_t lost = atomic_load(&recorder_session->lost_definitions);
    atomic_store(&recorder_session->definitions_closed, 1);
    CHECK_EQUAL(stack_table_python(0, 901, 1), 0);
    CHECK_EQUAL(stack_table_count(), count);
    CHECK_EQUAL(atomic_load(&recorder_session->lost_definitions), lost + 1);
    CHECK_EQUAL(stack_table_python(0, 900, 1), known);
    atomic_store(&recorder_session->definitions_closed, 0);
    CHECK_EQUAL(stack_table_python(0, 901, 1), count + 1);
    capture_fixture_discard();
}

int main(int count, char **arguments)
{
    capture_fixture_begin();
    if (count > 1)
        begin_small();
    check_random_stacks();
    check_predictions();
    check_kinds();
    check_closed();
    check_threads();
    check_lost();
    return 0;
}
