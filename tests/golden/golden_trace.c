/* The golden traces, trace_vN.heapline of format version N: written once by this program, read by every heapline since. Those with _far in
 * their name begin with deallocations that reach further back than version 1 can; those with _tally end with tallies; those with _rotated hold
 * a sample, the first part of it as sums.
 *
 *     golden_trace --write PATH    make it (only when a version is new)
 *     golden_trace PATH            check that the reader finds in it exactly what went in */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "trace_script.h"

static void define(struct script *script, struct trace_definition definition)
{
    script_define(script, &definition);
}

static void property(struct script *script, const char *key, const char *value)
{
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_PROPERTY,
                                             .property = {key, value, (uint32_t)strlen(key), (uint32_t)strlen(value)}});
}

static void definitions(struct script *script)
{
    static const uint8_t build_id[20] = {1, 2, 3, 4, 5}, line_table[] = {0x80, 0, 1, 4, 0xd8};
    property(script, "command", "python3 example.py");
    property(script, "empty", "");
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_MODULE,
                                             .module = {1, 0x555555554000, 0x555555554000, 0x555555960000, "/usr/bin/python3", 16, build_id, 20}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_CODE,
                                             .code = {1, 7, 0x030b, "example.py", "Reader.read", 10, 11, line_table, sizeof(line_table)}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_CODE, .code = {2, -1, 0x030d, "<string>", "<module>", 8, 8, NULL, 0}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_NODE,
                                             .node = {.stack_id = 1, .frame_kind = TRACE_FRAME_PYTHON, .code_id = 2, .instruction = -1}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 2, .caller_id = 1, .frame_kind = TRACE_FRAME_PYTHON,
                                                                                 .code_id = 1, .instruction = 300}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 3, .caller_id = 2, .frame_kind = TRACE_FRAME_NATIVE,
                                                                                 .module_id = 1, .address = 0xffffffffffffff00}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 4, .caller_id = 0, .frame_kind = TRACE_FRAME_CUT}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {1, 4242, "main", 4}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {2, 4243, "", 0}});
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {1, 4242, "renamed", 7}});
}

/* Every kind of event, every way to name a deallocation's block. */
static void events(struct script *script)
{
    uint32_t old[8], slots[40];
    script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 1});
    for (uint32_t i = 0; i < 8; i++)
        old[i] = script_allocate(script, 100 + i, 1 + i % 4, i & 0x3f);
    script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 1000000});
    script_allocate(script, (1ull << 56) - 1, 4, TRACE_MAPPING);
    uint32_t arena = script_allocate(script, 1 << 20, 3, TRACE_ARENA | TRACE_MAPPING);
    script_event(script, (struct trace_event){.kind = TRACE_RSS, .size_bytes = 123456789});
    for (uint32_t round = 0; round < 2300; round++) {
        uint32_t count = 1 + round % 37, stack = 1 + round % 3;
        for (uint32_t i = 0; i < count; i++)
            slots[i] = script_allocate(script, 48 + 16 * (uint64_t)(i % 3), stack, TRACE_OBJECT | TRACE_IN_ARENA);
        for (uint32_t i = 0; i < count; i++)
            script_free(script, slots[round % 5 ? i : count - 1 - i], 0);
        if (round % 100 == 0) {
            script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = round / 100 % 3});
            script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 2000000 + 1000 * (uint64_t)round});
            script_event(script, (struct trace_event){.kind = TRACE_COPY, .size_bytes = 4096 + round, .stack_id = 2});
        }
        if (round == 1000)
            script_flush(script);
        if (round == 1500)
            script_free(script, old[1], TRACE_REALLOC);
    }
    script_event(script, (struct trace_event){.kind = TRACE_UNDO_FREE, .size_bytes = 77, .stack_id = 2, .flags = TRACE_OBJECT});
    script_event(script, (struct trace_event){.kind = TRACE_SHRINK, .slot = arena, .size_bytes = 4096});
    script_event(script, (struct trace_event){.kind = TRACE_LOST, .size_bytes = 12});
    script_event(script, (struct trace_event){.kind = TRACE_SMALL_COPIES, .count = 1000, .size_bytes = 32000});
    script_event(script, (struct trace_event){.kind = TRACE_UNKNOWN_FREES, .count = 3});
    script_free(script, old[0], 0);
    script_free(script, old[7], 0);
}

/* A segment's first block lists free slots in another order than they were freed in: those of the script are others. */
static void write_rotated(const struct script *script, struct trace_writer *writer)
{
    uint32_t *slots = calloc(script->slot_count + 1, sizeof *slots);
    CHECK(slots);
    CHECK_EQUAL(trace_writer_rotate(writer, &script_identity, &(struct trace_rotate){48 << 10, 1000, 0}), 0);
    for (size_t i = 0; i < script->count; i++) {
        const struct script_step *step = &script->steps[i];
        if (step->what == STEP_EVENT)
            script_write_event(&step->event, writer, slots);
        else if (step->what == STEP_DEFINE)
            CHECK_EQUAL(trace_writer_define(writer, &step->definition), 0);
        else
            trace_writer_flush(writer);
    }
    free(slots);
}

static void write_golden(struct script *script, const char *path)
{
    struct trace_writer *writer;
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
    CHECK(file >= 0);
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), 0);
    if (strstr(path, "_rotated"))
        write_rotated(script, writer);
    else
        script_write(script, writer);
    trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_SIGNAL, .status = 9, .time_ns = 9000000});
    CHECK(close(file) == 0);
}

/* Those that are not in tallies. */
static size_t listed_events(const struct script *script)
{
    size_t count = 0;
    for (size_t i = 0; i < script->count && script->steps[i].what != STEP_TALLY; i++)
        count += script->steps[i].what == STEP_EVENT;
    return count;
}

static void check_golden(struct script *script, const char *path)
{
    struct trace_reader *reader;
    struct status_detail detail = {0};
    CHECK_EQUAL(trace_reader_open(path, &reader, &detail), 0);
    const struct trace_overview *overview = trace_reader_overview(reader);
    struct trace_identity identity = script_identity;
    identity.flags |= script->is_resampled ? TRACE_RESAMPLED : 0;
    CHECK_BYTES(&overview->identity, &identity, sizeof(identity));
    CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
    CHECK(overview->has_end);
    CHECK_EQUAL(overview->end.reason, TRACE_END_SIGNAL);
    CHECK_EQUAL(overview->end.status, 9);
    CHECK_EQUAL(overview->end.time_ns, 9000000);
    script_find_peak(script);
    check_totals(&overview->end.totals, &script->totals);
    struct script_progress progress = script_check(script, reader, &detail);
    CHECK_EQUAL(progress.status, STATUS_END);
    CHECK_EQUAL(progress.events, listed_events(script));
    CHECK_EQUAL(progress.definitions, script_definition_steps(script));
    check_totals(trace_reader_totals(reader), &script->totals);
    trace_reader_close(reader);
}

/* Its sums and its events lead to the level and the totals that its end states. */
static void check_rotated(const struct script *script, const char *path)
{
    struct trace_reader *reader;
    struct trace_event event;
    struct status_detail detail = {0};
    uint64_t tallies = 0;
    int status;
    CHECK_EQUAL(trace_reader_open(path, &reader, &detail), 0);
    const struct trace_overview *overview = trace_reader_overview(reader);
    CHECK_EQUAL(overview->identity.flags, script_identity.flags | TRACE_ROTATED | TRACE_RESAMPLED | TRACE_WEIGHTED);
    CHECK(overview->has_end && overview->has_history);
    while ((status = trace_reader_next_block(reader, &detail)) == 0) {
        tallies += trace_reader_tally(reader) != NULL;
        while ((status = trace_reader_next_event(reader, &event, &detail)) == 0)
            ;
        CHECK_EQUAL(status, STATUS_END);
    }
    CHECK_EQUAL(status, STATUS_END);
    CHECK(tallies > 0);
    CHECK_EQUAL(trace_reader_totals(reader)->event_count, script->totals.event_count);
    check_totals(trace_reader_totals(reader), &overview->end.totals);
    trace_reader_close(reader);
}

/* More allocations than the ring of version 1 holds, freed in their order, twice. */
static void events_far(struct script *script)
{
    static uint32_t slots[100000];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 100000; i++)
            slots[i] = script_allocate(script, 64, 1 + i % 2, TRACE_OBJECT);
        for (uint32_t i = 0; i < 100000; i++)
            script_free(script, slots[i], 0);
    }
}

/* Three tallies: one with the high-water mark, one in which little happens, and the last. */
static void tallies(struct script *script)
{
    script_tally(script);
    uint32_t high = script_allocate(script, 1ull << 55, 4, TRACE_MAPPING);
    script_free(script, high, 0);
    for (uint32_t i = 0; i < 100; i++)
        script_free(script, script_allocate(script, 10 + i, 1, 0), 0);
    script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 5000000});
    script_flush(script);
    define(script, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 5, .caller_id = 4, .frame_kind = TRACE_FRAME_CUT}});
    script_event(script, (struct trace_event){.kind = TRACE_COPY, .size_bytes = 5000, .stack_id = 5});
    script_event(script, (struct trace_event){.kind = TRACE_RSS, .size_bytes = 223456789});
    script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 6000000});
    script_flush(script);
    script_allocate(script, 321, 5, TRACE_OBJECT);
    script_event(script, (struct trace_event){.kind = TRACE_SMALL_COPIES, .count = 1500, .size_bytes = 48000});
    script_event(script, (struct trace_event){.kind = TRACE_LOST, .size_bytes = 13});
    script_event(script, (struct trace_event){.kind = TRACE_UNKNOWN_FREES, .count = 4});
    script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 7000000});
}

/* A sample from here on by one thread, and everything again. */
static void samples(struct script *script)
{
    script_event(script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = 524288});
    for (uint32_t i = 0; i < 10; i++)
        script_allocate(script, 1000 + i, 1 + i % 2, TRACE_OBJECT);
    script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 2});
    script_allocate(script, 2000, 1, 0);
    script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 1});
    script_event(script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = 0});
    script_allocate(script, 3000, 2, 0);
}

/* Two threads that sample by two intervals: blocks that stand for hundreds, for some, and for one; copies; a failed realloc. */
static void rotated(struct script *script)
{
    static uint32_t kept[300];
    for (uint32_t round = 0; round < 60; round++) {
        script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = 1 + round % 2});
        script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 1000000ull * (round + 1)});
        if (round == 2 || round == 3)
            script_event(script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = round == 2 ? 4096 : 65536});
        for (uint32_t i = 0; i < 10; i++) {
            uint32_t place = round % 30 * 10 + i;
            if (round >= 30)
                script_free(script, kept[place], 0);
            kept[place] = script_allocate(script, i < 3 ? 24 : i < 9 ? 5000 : 200000, 1 + i % 3, 0);
        }
        script_event(script, (struct trace_event){.kind = TRACE_COPY, .size_bytes = 100 + round, .stack_id = 4});
        if (round % 7 == 0) {
            script_free(script, kept[round % 30 * 10], TRACE_REALLOC);
            script_event(script, (struct trace_event){.kind = TRACE_UNDO_FREE, .size_bytes = 24, .stack_id = 1});
        }
        script_flush(script);
    }
}

static void describe(struct script *script, const char *path)
{
    if (strstr(path, "_rotated")) {
        rotated(script);
        return;
    }
    if (strstr(path, "_far"))
        events_far(script);
    events(script);
    if (strstr(path, "_tally"))
        tallies(script);
    if (strstr(path, "_sampled"))
        samples(script);
}

int main(int count, char **arguments)
{
    struct script script = {0};
    definitions(&script);
    if (count == 3 && strcmp(arguments[1], "--write") == 0) {
        describe(&script, arguments[2]);
        write_golden(&script, arguments[2]);
    } else {
        describe(&script, arguments[1]);
        if (strstr(arguments[1], "_rotated"))
            check_rotated(&script, arguments[1]);
        else
            check_golden(&script, arguments[1]);
    }
    script_done(&script);
    return 0;
}
