/* survivors.c: how old live blocks are, of a live set made by hand; and which of two counts is kept. */
#include "check.h"
#include "replay_state.h"
#include "survivors.h"

#define STACKS 5
#define RUN_NS 799 /* with births in units of 1 ns: an eighth is 100 of them */

static struct replay *replay;
static struct live_slots slots;
static struct replay_state state;
static uint32_t births[64];
static struct replay_weight weights[64];

static void begin(void)
{
    replay = calloc(1, sizeof *replay);
    CHECK(replay && stack_uses_init(&replay->uses) == 0 && stack_uses_extend(&replay->uses, STACKS) == 0);
    live_slots_init(&slots);
    replay->duration_ns = RUN_NS;
    state = (struct replay_state){.replay = replay, .slots = &slots, .births = births, .birth_capacity = 64, .birth_unit_ns = 1, .weights = weights};
}

static void end(void)
{
    survivor_log_done(&replay->survivors);
    stack_uses_done(&replay->uses);
    live_slots_done(&slots);
    free(replay);
}

static uint32_t allocate(uint32_t stack_id, uint64_t bytes, uint32_t birth, unsigned flags)
{
    uint32_t slot = live_slots_take(&slots, bytes, flags, stack_id, 0);
    struct stack_use *use = &replay->uses.uses[stack_uses_get(&replay->uses, stack_id)];
    births[slot] = birth;
    use->live_allocations++;
    use->live_bytes += bytes;
    state.level.outside_bytes += bytes;
    state.event_count++;
    return slot;
}

static void release(uint32_t slot)
{
    struct stack_use *use = &replay->uses.uses[replay->uses.ids[slots.slots[slot].stack_id]];
    use->live_allocations--;
    use->live_bytes -= live_slots_size(&slots, slot);
    state.level.outside_bytes -= live_slots_size(&slots, slot);
    live_slots_release(&slots, slot);
    state.event_count++;
}

static const struct survivor_row *row_of(const struct survivors *survivors, uint32_t stack_id)
{
    return survivors_of(survivors, replay->uses.ids[stack_id]);
}

static void check_row(const struct survivors *survivors, uint32_t stack_id, const uint64_t *expected)
{
    const struct survivor_row *row = row_of(survivors, stack_id);
    CHECK(row != NULL);
    for (int part = 0; part < SURVIVOR_PARTS; part++)
        CHECK_EQUAL(row->born_bytes[part], expected[part]);
}

static void test_ages(void)
{
    begin();
    allocate(1, 10, 0, 0);
    allocate(1, 20, 99, 0);
    allocate(1, 40, 100, 0);
    allocate(1, 80, 799, 0);
    allocate(2, 5, 350, 0);
    allocate(2, UINT64_C(1) << 30, 450, 0); /* a size that has no room in its slot */
    release(allocate(2, 7, 450, 0));
    release(allocate(3, 9, 10, 0));
    allocate(4, 1 << 18, 10, TRACE_ARENA); /* is no block */
    CHECK_EQUAL(survivor_log_window(&state, 3, 1), 0);
    const struct survivors *found = survivor_log_find(&replay->survivors, 3);
    CHECK(found != NULL);
    CHECK_EQUAL(found->window_id, 3);
    check_row(found, 1, (uint64_t[]){30, 40, 0, 0, 0, 0, 0, 80});
    check_row(found, 2, (uint64_t[]){0, 0, 0, 5, UINT64_C(1) << 30, 0, 0, 0});
    check_row(found, 4, (uint64_t[SURVIVOR_PARTS]){0});
    CHECK(row_of(found, 3) == NULL); /* it holds nothing */
    CHECK(survivors_of(found, 0) == NULL && survivors_of(found, 1000) == NULL);
    CHECK(survivor_log_find(&replay->survivors, 2) == NULL);
    end();
}

/* A slot of a stack that the reader has seen and the replay hasn't: not counted, and nothing outside the arrays is touched. */
static void test_ahead(void)
{
    begin();
    allocate(1, 10, 0, 0);
    births[live_slots_take(&slots, 33, 0, STACKS + 7, 0)] = 0;
    births[live_slots_take(&slots, 44, 0, 2, 0)] = 0; /* without a use */
    births[live_slots_take(&slots, 55, 0, 1, 0)] = 900; /* born behind the end of the run */
    CHECK_EQUAL(survivor_log_window(&state, 0, 1), 0);
    check_row(&replay->survivors.latest, 1, (uint64_t[]){10, 0, 0, 0, 0, 0, 0, 0});
    CHECK(row_of(&replay->survivors.latest, 2) == NULL);
    state.birth_capacity = 0; /* no births are known */
    CHECK_EQUAL(survivor_log_window(&state, 1, 1), 0);
    check_row(&replay->survivors.latest, 1, (uint64_t[SURVIVOR_PARTS]){0});
    end();
}

static void test_sample(void)
{
    begin();
    state.is_sampled = 1;
    weights[allocate(1, 64, 250, 0)] = (struct replay_weight){.bytes = 576, .count = 9};
    weights[allocate(1, 64, 260, 0)] = (struct replay_weight){.bytes = 512, .count = 8};
    CHECK_EQUAL(survivor_log_window(&state, 0, 1), 0);
    check_row(&replay->survivors.latest, 1, (uint64_t[]){0, 0, 1088, 0, 0, 0, 0, 0});
    end();
}

/* Counting waits for four events for each slot and use there is. */
static void test_seldom(void)
{
    begin();
    for (uint32_t i = 0; i < 10; i++)
        allocate(1, 1, 0, 0);
    uint64_t work = 10 + replay->uses.use_count;
    CHECK_EQUAL(replay->uses.use_count, 2);
    state.event_count = 4 * work - 1;
    CHECK_EQUAL(survivor_log_window(&state, 0, 0), 0);
    CHECK(!replay->survivors.latest.taken);
    state.event_count = 4 * work;
    CHECK_EQUAL(survivor_log_window(&state, 1, 0), 0);
    CHECK(replay->survivors.latest.taken && replay->survivors.latest.window_id == 1);
    state.event_count += 4 * work - 1;
    CHECK_EQUAL(survivor_log_window(&state, 2, 0), 0);
    CHECK_EQUAL(replay->survivors.latest.window_id, 1);
    CHECK_EQUAL(survivor_log_window(&state, 3, 1), 0); /* the last window's is needed */
    CHECK_EQUAL(replay->survivors.latest.window_id, 3);
    end();
}

/* Where the heap falls, the count before the fall is kept beside the latest: teardown may have begun. */
static void test_fall(void)
{
    uint32_t first, second;
    begin();
    first = allocate(1, 100, 0, 0);
    CHECK_EQUAL(survivor_log_window(&state, 0, 1), 0);
    second = allocate(2, 50, 0, 0);
    CHECK_EQUAL(survivor_log_window(&state, 1, 1), 0);
    CHECK(survivor_log_find(&replay->survivors, 0) == NULL); /* it rose: only the latest is kept */
    release(second);
    CHECK_EQUAL(survivor_log_window(&state, 2, 1), 0);
    release(first);
    state.level.arena_bytes = 1 << 20; /* arenas that hold no object any more are no blocks */
    CHECK_EQUAL(survivor_log_window(&state, 3, 1), 0); /* the fall goes on */
    CHECK_EQUAL(survivor_log_find(&replay->survivors, 3)->window_id, 3);
    CHECK_EQUAL(survivor_log_find(&replay->survivors, 2)->window_id, 1);
    CHECK_EQUAL(survivor_log_find(&replay->survivors, 1)->window_id, 1);
    check_row(survivor_log_find(&replay->survivors, 2), 2, (uint64_t[]){50, 0, 0, 0, 0, 0, 0, 0});
    CHECK(survivor_log_find(&replay->survivors, 0) == NULL);
    allocate(3, 10, 0, 0); /* it was a fall within the run */
    CHECK_EQUAL(survivor_log_window(&state, 4, 1), 0);
    CHECK(survivor_log_find(&replay->survivors, 3) == NULL);
    CHECK_EQUAL(survivor_log_find(&replay->survivors, 9)->window_id, 4);
    end();
}

int main(void)
{
    test_ages();
    test_ahead();
    test_sample();
    test_seldom();
    test_fall();
    return 0;
}
