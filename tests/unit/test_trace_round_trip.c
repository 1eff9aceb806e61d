/* What goes into a trace writer comes out of a trace reader: every definition, every event, slots, totals and high-water mark,
 * exactly. */
#include <unistd.h>

#include "check.h"
#include "trace_reader_internal.h"
#include "trace_script.h"
#include "trace_writer_internal.h"

static void check_overview(const struct script *script, const struct trace_overview *overview)
{
    struct trace_identity identity = script_identity;
    identity.flags |= script->is_resampled ? TRACE_RESAMPLED : 0;
    CHECK_BYTES(&overview->identity, &identity, sizeof(identity));
    CHECK_EQUAL(overview->good_bytes, overview->file_bytes);
    CHECK_EQUAL(overview->event_count, script->totals.event_count);
    CHECK_EQUAL(overview->peak_bytes, script->totals.peak_bytes);
    CHECK_EQUAL(overview->peak_event, script->totals.peak_event);
    CHECK_EQUAL(overview->peak_time_ns, script->totals.peak_time_ns);
}

static void check_slots(const struct script *script, const struct live_slots *slots)
{
    CHECK_EQUAL(slots->used_count, script->slot_count);
    CHECK_EQUAL(slots->live_count, script->live_count);
    for (uint32_t i = 0; i < slots->used_count; i++) {
        CHECK_EQUAL(live_slot_is_live(&slots->slots[i]), script->slots[i].live);
        if (!script->slots[i].live)
            continue;
        CHECK_EQUAL(live_slots_size(slots, i), script->slots[i].size_bytes);
        CHECK_EQUAL(live_slot_flags(&slots->slots[i]), script->slots[i].flags);
        CHECK_EQUAL(slots->slots[i].stack_id, script->slots[i].stack_id);
    }
}

static void check_round_trip(struct script *script)
{
    struct trace_reader *reader;
    struct status_detail detail = {0};
    int file = script_record(script, TRACE_END_EXIT);
    CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
    const struct trace_overview *overview = trace_reader_overview(reader);
    check_overview(script, overview);
    CHECK(overview->has_end);
    CHECK_EQUAL(overview->end.reason, TRACE_END_EXIT);
    CHECK_EQUAL(overview->end.status, 3);
    CHECK_EQUAL(overview->end.time_ns, script->time_ns + 17);
    check_totals(&overview->end.totals, &script->totals);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);

    struct script_progress progress = script_check(script, reader, &detail);
    CHECK_EQUAL(progress.status, STATUS_END);
    CHECK_EQUAL(progress.events, script_event_steps(script));
    CHECK_EQUAL(progress.definitions, script_definition_steps(script));
    check_totals(trace_reader_totals(reader), &script->totals);
    CHECK_BYTES(trace_reader_level(reader), &script->level, sizeof(script->level));
    check_slots(script, trace_reader_slots(reader));
    trace_reader_close(reader);
    close(file);
}

static void random_scripts(void)
{
    static const size_t steps[] = {1, 2, 3, 10, 100, 1000, 30000};
    for (uint64_t seed = 1; seed <= 10; seed++)
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            struct script script;
            script_random(&script, seed, steps[i]);
            check_round_trip(&script);
            script_done(&script);
        }
}

/* The sampling interval changes: the header says so in the end. */
static void resampled_scripts(void)
{
    static const uint64_t intervals[] = {0, 1, 512 << 10, (1ull << 56) - 1};
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct script script;
        script_random(&script, seed, 100 * seed);
        for (int i = 0; i < 4; i++) {
            script_event(&script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = intervals[i]});
            script_random_more(&script, seed + 10 + (uint64_t)i, script.count + 300);
        }
        check_round_trip(&script);
        script_done(&script);
    }
}

/* More events than a block takes, both with columns that fill it and with columns that stay empty. */
static void many_blocks(void)
{
    struct script script;
    script_random(&script, 77, 400000);
    for (uint32_t round = 0; round < 600000; round++)
        script_free(&script, script_allocate(&script, 48, 1, TRACE_OBJECT), 0);
    check_round_trip(&script);
    int file = script_record(&script, -1);
    struct trace_reader *reader;
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK(trace_reader_overview(reader)->block_count > 100);
    CHECK(!trace_reader_overview(reader)->has_end);
    CHECK_EQUAL(trace_reader_damage(reader, NULL), 0);
    trace_reader_close(reader);
    close(file);
    script_done(&script);
}

/* Deallocations that are far from their allocations: beyond the ring of the last 65536, and just within it. */
static void far_frees(void)
{
    struct script script = {0};
    uint32_t slots[3];
    script_node(&script, 0);
    for (uint32_t i = 0; i < 3; i++)
        slots[i] = script_allocate(&script, 1 + i, 1, 0);
    for (uint32_t i = 0; i < 65533; i++)
        script_free(&script, script_allocate(&script, 100, 0, 0), 0);
    script_free(&script, slots[0], 0); /* the 65536th allocation before the next */
    script_free(&script, script_allocate(&script, 100, 0, 0), 0);
    script_free(&script, script_allocate(&script, 100, 0, 0), 0);
    script_free(&script, slots[1], TRACE_REALLOC);
    script_free(&script, slots[2], 0);
    check_round_trip(&script);
    script_done(&script);
}

static void nothing_at_all(void)
{
    struct script script = {0};
    check_round_trip(&script);
    script_flush(&script);
    check_round_trip(&script);
    script_done(&script);
}

/* A reader that skips: blocks build on each other, so the last block is the same whether the ones before were read or not. */
static void skipping(void)
{
    struct script script;
    struct trace_reader *reader;
    struct trace_event event;
    script_random(&script, 5, 20000);
    int file = script_record(&script, TRACE_END_STOPPED);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    uint64_t blocks = trace_reader_overview(reader)->block_count - 1;
    CHECK(blocks > 10);
    for (uint64_t i = 0; i < blocks; i++) {
        CHECK_EQUAL(trace_reader_next_block(reader, NULL), 0);
        if (i % 3 == 0)
            CHECK_EQUAL(trace_reader_next_event(reader, &event, NULL), 0);
    }
    CHECK_EQUAL(trace_reader_next_block(reader, NULL), STATUS_END);
    check_totals(trace_reader_totals(reader), &script.totals);
    check_slots(&script, trace_reader_slots(reader));
    CHECK_EQUAL(trace_reader_next_event(reader, &event, NULL), STATUS_END);
    trace_reader_close(reader);
    close(file);
    script_done(&script);
}

/* After 2^32 allocations their sequences begin anew: two live blocks may have the same, and only one is as near as it looks. */
static void sequences_repeat(void)
{
    enum { FRESH = 10, BEFORE = 5 }; /* so many of them before sequence 0 comes again */
    struct trace_writer *writer;
    struct trace_reader *reader;
    struct trace_event event;
    uint32_t fresh[FRESH];
    int file = script_open_file();
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), 0);
    uint32_t old = trace_writer_allocate(writer, 8, 0, 0);
    trace_writer_flush(writer);
    uint64_t temporary = writer->encoder.model->ring_length + 3, next_sequence = MODEL_REPEATS - temporary - BEFORE;
    writer->encoder.model->next_sequence = next_sequence; /* as if so many had come and gone */
    for (uint64_t i = 0; i < temporary; i++)
        trace_writer_free(writer, trace_writer_allocate(writer, 16, 0, 0), 0);
    for (int i = 0; i < FRESH; i++)
        fresh[i] = trace_writer_allocate(writer, 24, 0, 0);
    CHECK_EQUAL(trace_writer_slots(writer)->slots[old].sequence, trace_writer_slots(writer)->slots[fresh[BEFORE]].sequence);
    trace_writer_free(writer, old, 0);
    for (int i = 0; i < FRESH; i++)
        trace_writer_free(writer, fresh[i], 0);
    trace_writer_close(writer, NULL);

    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    uint64_t frees = 0;
    while (trace_reader_next_block(reader, NULL) == 0) {
        int status;
        while ((status = trace_reader_next_event(reader, &event, NULL)) == 0) {
            if (reader->events.model->next_sequence == 1)
                reader->events.model->next_sequence = next_sequence;
            if (event.kind == TRACE_FREE && frees++ >= temporary)
                CHECK_EQUAL(event.slot, frees == temporary + 1 ? old : fresh[frees - temporary - 2]);
        }
        CHECK_EQUAL(status, STATUS_END);
    }
    CHECK_EQUAL(frees, temporary + 1 + FRESH);
    trace_reader_close(reader);
    close(file);
}

int main(void)
{
    nothing_at_all();
    random_scripts();
    resampled_scripts();
    far_frees();
    sequences_repeat();
    skipping();
    many_blocks();
    return 0;
}
