/* Rotation: what a trace says whose old segments have made room is what the same events say in a trace that lists them all: every stack's
 * figures, peak, totals; whenever its writer is killed, and whatever is damaged is noticed. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "replay.h"
#include "report_check.h"
#include "trace_script.h"
#include "trace_space.h"

/* ---- the same events into both ---- */

struct pair {
    struct trace_writer *writers[2]; /* plain, rotated */
    int files[2];
    uint32_t *slots[2];              /* by the script's slot */
};

static void open_pair(struct pair *pair, const struct script *script, const struct trace_rotate *settings)
{
    struct trace_identity identity = script_identity;
    identity.sampling_interval_bytes = script->sampling_interval_bytes;
    for (int i = 0; i < 2; i++) {
        pair->files[i] = script_open_file();
        pair->slots[i] = calloc(script->slot_count + 1, sizeof *pair->slots[i]);
        CHECK(pair->slots[i]);
        CHECK_EQUAL(trace_writer_open(pair->files[i], &identity, &pair->writers[i]), 0);
    }
    CHECK_EQUAL(trace_writer_rotate(pair->writers[1], &identity, settings), 0);
}

static void write_pair(struct pair *pair, const struct script *script, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        for (int j = 0; j < 2; j++) {
            const struct script_step *step = &script->steps[i];
            /* Only mappings shrink, which are never sampled; a script's shrinks are of any blocks. */
            if (step->what == STEP_EVENT && step->event.kind == TRACE_SHRINK && script->is_resampled)
                continue;
            if (step->what == STEP_EVENT)
                script_write_event(&step->event, pair->writers[j], pair->slots[j]);
            else if (step->what == STEP_DEFINE)
                CHECK_EQUAL(trace_writer_define(pair->writers[j], &step->definition), 0);
            else
                trace_writer_flush(pair->writers[j]);
        }
}

static void close_pair(struct pair *pair, const struct trace_end *end)
{
    for (int i = 0; i < 2; i++) {
        if (pair->writers[i])
            CHECK_EQUAL(trace_writer_close(pair->writers[i], end), 0);
        close(pair->files[i]);
        free(pair->slots[i]);
    }
}

/* ---- what they say ---- */

static struct stack_use use_of(const struct replay *replay, uint32_t stack_id)
{
    uint32_t id = stack_id < replay->uses.stack_count ? replay->uses.ids[stack_id] : 0;
    return id ? replay->uses.uses[id] : (struct stack_use){0};
}

static void check_stacks(const struct replay *plain, const struct replay *rotated)
{
    for (uint32_t stack = 0; stack <= plain->definitions.node_count; stack++) {
        struct stack_use a = use_of(plain, stack), b = use_of(rotated, stack);
        CHECK_EQUAL(b.live_bytes, a.live_bytes);
        CHECK_EQUAL(b.live_allocations, a.live_allocations);
        CHECK_EQUAL(b.allocated_bytes, a.allocated_bytes);
        CHECK_EQUAL(b.allocations, a.allocations);
        CHECK_EQUAL(b.temporary_allocations, a.temporary_allocations);
        struct stack_level at_peak[2] = {{0, 0}, {0, 0}};
        if (stack < plain->uses.stack_count && plain->uses.ids[stack])
            at_peak[0] = replay_peak_level(plain, plain->uses.ids[stack]);
        if (stack < rotated->uses.stack_count && rotated->uses.ids[stack])
            at_peak[1] = replay_peak_level(rotated, rotated->uses.ids[stack]);
        CHECK_EQUAL(at_peak[1].bytes, at_peak[0].bytes);
        CHECK_EQUAL(at_peak[1].allocations, at_peak[0].allocations);
    }
}

/* All but when. */
static void check_replays(const struct replay *plain, const struct replay *rotated)
{
    const struct replay_totals *a = &plain->totals, *b = &rotated->totals;
    CHECK_EQUAL(b->event_count, a->event_count);
    CHECK_EQUAL(b->allocated_bytes, a->allocated_bytes);
    CHECK_EQUAL(b->allocations, a->allocations);
    CHECK_EQUAL(b->temporary_allocations, a->temporary_allocations);
    CHECK_EQUAL(b->copied_bytes, a->copied_bytes);
    CHECK_EQUAL(b->copies, a->copies);
    CHECK_EQUAL(b->small_copies, a->small_copies);
    CHECK_EQUAL(b->live_bytes, a->live_bytes);
    CHECK_EQUAL(b->live_allocations, a->live_allocations);
    CHECK_EQUAL(b->peak_bytes, a->peak_bytes);
    CHECK_EQUAL(b->peak_allocations, a->peak_allocations);
    CHECK_EQUAL(b->peak_event, a->peak_event);
    CHECK_EQUAL(b->peak_time_ns, a->peak_time_ns);
    CHECK_EQUAL(b->peak_slack_bytes, a->peak_slack_bytes);
    CHECK_EQUAL(b->lost_events, a->lost_events);
    CHECK_EQUAL(b->unknown_frees, a->unknown_frees);
    CHECK_EQUAL(b->peak_rss_bytes, a->peak_rss_bytes);
    CHECK_EQUAL(rotated->duration_ns, plain->duration_ns);
    CHECK_EQUAL(rotated->definitions.node_count, plain->definitions.node_count);
    CHECK_EQUAL(rotated->definitions.thread_count, plain->definitions.thread_count);
    check_stacks(plain, rotated);
}

static uint64_t file_bytes(int file)
{
    off_t end = lseek(file, 0, SEEK_END);
    CHECK(end > 0);
    return (uint64_t)end;
}

/* A failed realloc of a block that would have been temporary may be taken back by another thread's count after a segment: not made here. */
static void compare(uint64_t seed, size_t steps, const struct trace_rotate *settings, int has_end)
{
    struct script script;
    struct pair pair;
    script_random(&script, seed, steps);
    open_pair(&pair, &script, settings);
    write_pair(&pair, &script, 0, script.count);
    struct trace_end end = {.reason = TRACE_END_EXIT, .status = 3, .time_ns = script.time_ns + 17};
    for (int i = 0; i < 2; i++) {
        trace_writer_flush(pair.writers[i]);
        if (has_end)
            CHECK_EQUAL(trace_writer_close(pair.writers[i], &end), 0);
    }
    struct replay *plain = replay_file(pair.files[0]), *rotated = replay_file(pair.files[1]);
    CHECK_EQUAL(rotated->overview.has_end, has_end);
    CHECK(file_bytes(pair.files[1]) <= settings->max_bytes);
    check_replays(plain, rotated);
    replay_free(plain);
    replay_free(rotated);
    if (has_end)
        pair.writers[0] = pair.writers[1] = NULL;
    close_pair(&pair, NULL);
    script_done(&script);
}

/* Of counts to the last bit: sums of numbers that doubles hold exactly. */
static void check_errors(const struct replay *plain, const struct replay *rotated)
{
    const struct replay_totals *a = &plain->totals, *b = &rotated->totals;
    CHECK_EQUAL(b->sampling_interval_bytes, a->sampling_interval_bytes);
    CHECK(llabs((int64_t)(b->allocated_bytes_error - a->allocated_bytes_error)) <= (int64_t)(a->allocated_bytes_error / 50 + 100));
    CHECK(llabs((int64_t)(b->peak_bytes_error - a->peak_bytes_error)) <= (int64_t)(a->peak_bytes_error / 50 + 100));
    CHECK(replay_knows_errors(plain) && replay_knows_errors(rotated));
    for (uint32_t stack = 0; stack < plain->uses.stack_count; stack++) {
        struct count_error c = stack_uses_error_of(&plain->uses, plain->uses.ids[stack]), d = {0};
        if (stack < rotated->uses.stack_count)
            d = stack_uses_error_of(&rotated->uses, rotated->uses.ids[stack]);
        CHECK(d.live == c.live && d.allocations == c.allocations && d.peak == c.peak && d.copies == c.copies);
        CHECK(d.largest_block == c.largest_block && d.largest_copy == c.largest_copy);
    }
}

/* Samples, by intervals that change: what makes room is added up by what it stands for. */
static void sampled_scripts(void)
{
    static const uint64_t intervals[] = {0, 1000, 50000, 0, 64};
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct script script;
        struct pair pair;
        int by_flush = seed % 5 == 0; /* a segment for each */
        script_random(&script, seed, by_flush ? 300 : 3000);
        for (int i = 0; i < (by_flush ? 5 : 20); i++) {
            script_event(&script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = intervals[(seed + (uint64_t)i) % 5]});
            script_random_more(&script, 100 * seed + (uint64_t)i, script.count + (by_flush ? 300 : 2000));
        }
        script.sampling_interval_bytes = seed % 3 ? 0 : 4096;
        open_pair(&pair, &script, &(struct trace_rotate){TRACE_MIN_BOUND_BYTES, by_flush ? 1 : 1000 * (seed % 5), 0});
        write_pair(&pair, &script, 0, script.count);
        struct trace_end end = {.reason = TRACE_END_EXIT, .time_ns = script.time_ns + 17};
        for (int i = 0; i < 2; i++) {
            CHECK_EQUAL(trace_writer_close(pair.writers[i], &end), 0);
            pair.writers[i] = NULL;
        }
        struct replay *plain = replay_file(pair.files[0]), *rotated = replay_file(pair.files[1]);
        check_replays(plain, rotated);
        check_errors(plain, rotated);
        CHECK(rotated->overview.has_history);
        replay_free(plain);
        replay_free(rotated);
        close_pair(&pair, NULL);
        script_done(&script);
    }
}

/* Segments end at each flush, at each time stamp, by size; of each kind of script so many that old ones make room. */
static void random_scripts(void)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const struct trace_rotate often = {TRACE_MIN_BOUND_BYTES, 1, 0}, by_time = {TRACE_MIN_BOUND_BYTES, 0, 1},
                                  by_size = {TRACE_MIN_BOUND_BYTES, 3000, 0}, seldom = {64 * TRACE_MIN_BOUND_BYTES, 0, 0};
        compare(seed, 1500, &often, 1);
        compare(seed, 2000, &by_time, (int)(seed % 2));
        compare(seed, 20000, &by_size, (int)(seed % 2));
        compare(seed, 3000, &seldom, 1);
    }
}

/* Far more events than there is room for. */
static void long_history(void)
{
    const struct trace_rotate settings = {TRACE_MIN_BOUND_BYTES, 0, 0};
    compare(77, 150000, &settings, 1);
}

/* Read again and again while it is written: each time it says what the plain one says. */
static void read_on_the_way(void)
{
    const struct trace_rotate settings = {TRACE_MIN_BOUND_BYTES, 2000, 0};
    struct script script;
    struct pair pair;
    script_random(&script, 5, 20000);
    open_pair(&pair, &script, &settings);
    for (size_t from = 0, step = script.count / 12; from < script.count; from += step) {
        write_pair(&pair, &script, from, from + step < script.count ? from + step : script.count);
        trace_writer_flush(pair.writers[0]);
        trace_writer_flush(pair.writers[1]);
        struct replay *plain = replay_file(pair.files[0]), *rotated = replay_file(pair.files[1]);
        check_replays(plain, rotated);
        replay_free(plain);
        replay_free(rotated);
    }
    close_pair(&pair, NULL);
    script_done(&script);
}

/* More is live than could be listed at the beginning of each segment: everything is added up, until it is less again. */
static void much_live(void)
{
    const struct trace_rotate settings = {TRACE_MIN_BOUND_BYTES, 0, 1000};
    struct script script = {0};
    struct pair pair;
    uint64_t seed = 9;
    script_node(&script, 0);
    for (uint32_t i = 0; i < 50000; i++) {
        script_event(&script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 10ull * i + 10});
        script_allocate(&script, check_random(&seed) % 5000, i % 2, i % 3 ? 0 : TRACE_OBJECT);
    }
    for (uint32_t i = 0; i < 49990; i++) {
        script_event(&script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 500010ull + 10 * i});
        script_free(&script, i, 0);
    }
    script_find_peak(&script);
    open_pair(&pair, &script, &settings);
    write_pair(&pair, &script, 0, script.count);
    struct trace_end end = {.reason = TRACE_END_EXIT, .time_ns = script.time_ns};
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(trace_writer_close(pair.writers[i], &end), 0);
    pair.writers[0] = pair.writers[1] = NULL;
    struct replay *plain = replay_file(pair.files[0]), *rotated = replay_file(pair.files[1]);
    CHECK(rotated->overview.has_history && !rotated->overview.has_tally);
    CHECK_EQUAL(rotated->totals.live_allocations, 10);
    check_replays(plain, rotated);
    replay_free(plain);
    replay_free(rotated);
    close_pair(&pair, NULL);
    script_done(&script);
}

/* The last hundredth is still listed, the first isn't; ages of what is live are right to some milliseconds. */
static void detail_and_ages(void)
{
    const struct trace_rotate settings = {TRACE_MIN_BOUND_BYTES, 0, 0};
    const uint64_t second = 1000000000;
    struct script script = {0};
    struct pair pair;
    uint64_t seed = 3;
    uint32_t blocks[100] = {0}, count = 0;
    script_node(&script, 0);
    script_node(&script, 0);
    uint32_t old = 0;
    for (uint32_t i = 0; i < 500000; i++) {
        if (i % 5000 == 0)
            script_event(&script, (struct trace_event){.kind = TRACE_TIME, .time_ns = (i / 5000 + 1) * second});
        if (i == 5)
            old = script_allocate(&script, 4321, 2, 0);
        uint32_t *place = &blocks[check_random(&seed) % 100];
        if (count == 100)
            script_free(&script, *place, 0);
        else
            place = &blocks[count++];
        *place = script_allocate(&script, check_random(&seed) % 100000, 1, 0);
    }
    CHECK(script.slots[old].live);
    open_pair(&pair, &script, &settings);
    write_pair(&pair, &script, 0, script.count);
    close(pair.files[0]);
    pair.files[0] = script_open_file();
    struct replay *rotated = replay_file(pair.files[1]);
    CHECK(rotated->overview.has_history);
    CHECK(rotated->overview.history_end_ns > 30 * second && rotated->overview.history_end_ns < 98 * second);
    CHECK_EQUAL(rotated->live_count, 2);
    CHECK_EQUAL(rotated->live[1].stack_id, 2);
    CHECK(rotated->live[1].oldest_ns <= second && rotated->live[1].oldest_ns + 10000000 > second);
    CHECK(rotated->live[0].newest_ns > 95 * second);
    replay_free(rotated);
    for (int i = 0; i < 2; i++)
        trace_writer_close(pair.writers[i], NULL);
    pair.writers[0] = pair.writers[1] = NULL;
    close_pair(&pair, NULL);
    script_done(&script);
}

/* ---- the space ---- */

static void spaces(void)
{
    struct trace_space space, read;
    struct space_part parts[3] = {{0}};
    const struct space_part *list[3] = {&parts[0], &parts[1], &parts[2]};
    uint8_t bytes[10000];
    int file = script_open_file(), grown;
    uint64_t at, seed = 1;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)check_random(&seed);
    trace_space_init(&space, SPACE_FIRST_EXTENT + 5 * 4096);
    CHECK_EQUAL(space.extent_bytes, 4096);
    CHECK_EQUAL(space.extent_count, 5);
    CHECK_EQUAL(trace_space_append(&space, file, &parts[0], bytes, 100, &grown), 0);
    CHECK_EQUAL(grown, 1);
    CHECK_EQUAL(trace_space_append(&space, file, &parts[1], bytes, 5000, &grown), 0);
    CHECK_EQUAL(trace_space_append(&space, file, &parts[0], bytes + 100, 100, &grown), 0);
    CHECK_EQUAL(grown, 0);
    CHECK_EQUAL(trace_space_append(&space, file, &parts[2], bytes, 8193, &grown), ENOSPC);
    trace_space_release(&space, &parts[2]);
    CHECK_EQUAL(trace_space_free_bytes(&space), 8192);
    CHECK_EQUAL(trace_space_commit(&space, file, list, 2, 0), 0);
    CHECK_EQUAL(trace_space_load(&read, file, file_bytes(file), NULL), 0);
    CHECK_EQUAL(trace_space_end(&read), 96 + 200 + 5000);
    CHECK_EQUAL(trace_space_is_part_start(&read, 96), 1);
    CHECK_EQUAL(trace_space_is_part_start(&read, 296), 1);
    CHECK_EQUAL(trace_space_is_part_start(&read, 297), 0);
    CHECK_EQUAL(trace_space_locate(&read, 96, &at), 200);
    CHECK_EQUAL(at, SPACE_FIRST_EXTENT);
    CHECK_EQUAL(trace_space_locate(&read, 296, &at), 4096);
    CHECK_EQUAL(at, SPACE_FIRST_EXTENT + 4096);
    CHECK_EQUAL(trace_space_locate(&read, 296 + 4096, &at), 904);
    CHECK_EQUAL(trace_space_locate(&read, 5296, &at), 0);
    trace_space_done(&read);
    /* The next index stands in the other place; damaged, the one before it holds. */
    CHECK_EQUAL(trace_space_commit(&space, file, list, 1, 1), 0);
    CHECK_EQUAL(trace_space_load(&read, file, file_bytes(file), NULL), 0);
    CHECK_EQUAL(read.generation, 2);
    CHECK_EQUAL(trace_space_end(&read), 96 + 4096);
    CHECK_EQUAL(read.is_open, 1);
    trace_space_done(&read);
    CHECK_EQUAL(pwrite(file, "x", 1, SPACE_FIRST_INDEX + 100), 1);
    CHECK_EQUAL(trace_space_load(&read, file, file_bytes(file), NULL), 0);
    CHECK_EQUAL(read.generation, 1);
    trace_space_done(&read);
    CHECK_EQUAL(pwrite(file, "x", 1, SPACE_FIRST_INDEX + SPACE_INDEX_BYTES + 100), 1);
    CHECK_EQUAL(trace_space_load(&read, file, file_bytes(file), NULL), STATUS_CORRUPT);
    for (int i = 0; i < 3; i++)
        trace_space_release(&space, &parts[i]);
    CHECK_EQUAL(trace_space_free_bytes(&space), 5 * 4096);
    close(file);
}

int main(void)
{
    spaces();
    sampled_scripts();
    random_scripts();
    read_on_the_way();
    much_live();
    detail_and_ages();
    long_history();
    return 0;
}
