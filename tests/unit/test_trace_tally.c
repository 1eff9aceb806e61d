/* Tallies: what a writer adds up is what a naive count of the same events gives, exactly, for every stack; a bound holds; what is made up by
 * somebody else is refused. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "checksum.h"
#include "tally_codec.h"
#include "trace_block.h"
#include "trace_format.h"
#include "trace_script.h"

/* ---- a naive count ---- */

struct figures {
    uint64_t live_bytes, live_allocations, allocated_bytes, allocations, copied_bytes, copies;
};

struct count {
    struct figures *now, *at_tally, *at_peak; /* by stack */
    struct script_slot *slots;
    uint64_t events;
};

static const struct trace_slot_intervals no_intervals;

static void count_live(struct count *count, const struct script_slot *slot, int sign)
{
    if (slot->flags & TRACE_ARENA)
        return;
    count->now[slot->stack_id].live_bytes += sign > 0 ? slot->size_bytes : 0 - slot->size_bytes;
    count->now[slot->stack_id].live_allocations += (uint64_t)(int64_t)sign;
}

static void count_event(struct count *count, const struct trace_event *event)
{
    struct script_slot *slot = &count->slots[event->slot];
    struct figures *stack = &count->now[event->stack_id];
    switch (event->kind) {
    case TRACE_ALLOCATE:
    case TRACE_UNDO_FREE:
        *slot = (struct script_slot){1, event->size_bytes, event->stack_id, event->flags};
        count_live(count, slot, 1);
        if (event->kind == TRACE_ALLOCATE && !(event->flags & (TRACE_ARENA | TRACE_INHERITED))) {
            stack->allocated_bytes += event->size_bytes;
            stack->allocations++;
        }
        break;
    case TRACE_FREE:
        count_live(count, slot, -1);
        break;
    case TRACE_SHRINK:
        slot->size_bytes -= event->size_bytes;
        if (!(slot->flags & TRACE_ARENA))
            count->now[slot->stack_id].live_bytes -= event->size_bytes;
        break;
    case TRACE_COPY:
        stack->copied_bytes += event->size_bytes;
        stack->copies++;
        break;
    }
    count->events += event->kind <= TRACE_UNDO_FREE;
}

static struct figures *new_figures(const struct script *script)
{
    struct figures *figures = calloc(script->stacks + (size_t)1, sizeof *figures);
    CHECK(figures);
    return figures;
}

static void count_script(struct count *count, const struct script *script)
{
    size_t bytes = (script->stacks + (size_t)1) * sizeof *count->now;
    *count = (struct count){new_figures(script), new_figures(script), new_figures(script), calloc(script->slot_count + 1, sizeof *count->slots), 0};
    for (size_t i = 0; i < script->count; i++) {
        uint64_t events = count->events;
        if (script->steps[i].what == STEP_EVENT)
            count_event(count, &script->steps[i].event);
        if (script->steps[i].what == STEP_TALLY)
            memcpy(count->at_tally, count->now, bytes);
        if (count->events == script->totals.peak_event && events != count->events)
            memcpy(count->at_peak, count->now, bytes);
    }
}

static void count_done(struct count *count)
{
    free(count->now);
    free(count->at_tally);
    free(count->at_peak);
    free(count->slots);
}

/* ---- what the trace says ---- */

struct reading {
    struct figures *now, *at_peak; /* since the tally began; at_peak only with has_peak */
    uint64_t tallies, moments, highest_moment_bytes;
    int has_peak;
};

static void read_stacks(struct reading *reading, struct trace_reader *reader, const struct trace_tally *tally, uint32_t stacks)
{
    struct tally_stack stack;
    int64_t before = -1;
    if (tally->has_peak) {
        memcpy(reading->at_peak, reading->now, (stacks + (size_t)1) * sizeof *reading->now);
        reading->has_peak = 1;
    }
    while (trace_reader_next_tally_stack(reader, &stack)) {
        struct figures *now = &reading->now[stack.stack_id];
        CHECK((int64_t)stack.stack_id > before && stack.stack_id <= stacks);
        before = stack.stack_id;
        if (tally->has_peak) {
            reading->at_peak[stack.stack_id].live_bytes += (uint64_t)stack.peak_bytes;
            reading->at_peak[stack.stack_id].live_allocations += (uint64_t)stack.peak_allocations;
        }
        now->live_bytes += (uint64_t)stack.live_bytes;
        now->live_allocations += (uint64_t)stack.live_allocations;
        now->allocated_bytes += stack.allocated_bytes;
        now->allocations += stack.allocations;
        now->copied_bytes += stack.copied_bytes;
        now->copies += stack.copies;
    }
    CHECK(!trace_reader_next_tally_stack(reader, &stack));
    trace_reader_rewind_tally(reader);
    CHECK_EQUAL(trace_reader_next_tally_stack(reader, &stack), before >= 0);
}

static void read_moments(struct reading *reading, struct trace_reader *reader, const struct trace_tally *tally)
{
    struct tally_moment moment = {.time_ns = tally->start_time_ns};
    for (uint64_t before_ns = moment.time_ns; trace_reader_next_moment(reader, &moment); before_ns = moment.time_ns) {
        CHECK(moment.time_ns >= before_ns && moment.heap_peak_bytes >= moment.heap_bytes);
        if (moment.heap_peak_bytes > reading->highest_moment_bytes)
            reading->highest_moment_bytes = moment.heap_peak_bytes;
        reading->moments++;
    }
    CHECK_EQUAL(moment.time_ns, tally->end_time_ns);
    CHECK_EQUAL(moment.heap_bytes, trace_level_total(&tally->end_level));
}

static void read_trace(struct reading *reading, int file, const struct script *script, struct trace_totals *ret_totals)
{
    struct trace_reader *reader;
    struct trace_event event;
    struct status_detail detail = {0};
    int status;
    *reading = (struct reading){.now = new_figures(script), .at_peak = new_figures(script)};
    CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
    CHECK(trace_reader_overview(reader)->has_tally);
    CHECK_EQUAL(trace_reader_overview(reader)->peak_event, script->totals.peak_event);
    while ((status = trace_reader_next_block(reader, &detail)) == 0) {
        const struct trace_tally *tally = trace_reader_tally(reader);
        if (tally) {
            reading->tallies++;
            read_moments(reading, reader, tally);
            read_stacks(reading, reader, tally, script->stacks);
        }
        while ((status = trace_reader_next_event(reader, &event, &detail)) == 0)
            CHECK_EQUAL(reading->tallies, 0);
        CHECK_EQUAL(status, STATUS_END);
        CHECK(!trace_reader_tally(reader));
    }
    CHECK_EQUAL(status, STATUS_END);
    CHECK_BYTES(trace_reader_level(reader), &script->level, sizeof script->level);
    *ret_totals = *trace_reader_totals(reader);
    trace_reader_close(reader);
}

static void compare(const struct reading *reading, const struct count *count, const struct script *script)
{
    for (uint32_t id = 0; id <= script->stacks; id++) {
        const struct figures *now = &reading->now[id], *end = &count->now[id], *start = &count->at_tally[id];
        CHECK_EQUAL(now->live_bytes, end->live_bytes - start->live_bytes);
        CHECK_EQUAL(now->live_allocations, end->live_allocations - start->live_allocations);
        CHECK_EQUAL(now->allocated_bytes, end->allocated_bytes - start->allocated_bytes);
        CHECK_EQUAL(now->allocations, end->allocations - start->allocations);
        CHECK_EQUAL(now->copied_bytes, end->copied_bytes - start->copied_bytes);
        CHECK_EQUAL(now->copies, end->copies - start->copies);
        if (!reading->has_peak)
            continue;
        CHECK_EQUAL(reading->at_peak[id].live_bytes, count->at_peak[id].live_bytes - start->live_bytes);
        CHECK_EQUAL(reading->at_peak[id].live_allocations, count->at_peak[id].live_allocations - start->live_allocations);
    }
}

/* Put the script's last step at `index`. */
static void move_last_step(struct script *script, size_t index)
{
    struct script_step last = script->steps[script->count - 1];
    memmove(&script->steps[index + 1], &script->steps[index], (script->count - 1 - index) * sizeof last);
    script->steps[index] = last;
}

/* Returns how many tallies the trace had. */
static uint64_t check_script(struct script *script, size_t listed)
{
    struct trace_totals totals;
    struct reading reading;
    struct count count;
    uint64_t events = 0;
    script_tally(script);
    move_last_step(script, listed);
    for (size_t i = 0; i < listed; i++)
        events += script->steps[i].what == STEP_EVENT && script->steps[i].event.kind <= TRACE_UNDO_FREE;
    int file = script_record(script, TRACE_END_EXIT); /* checks the slots, and the writer's totals at the end */
    count_script(&count, script);
    read_trace(&reading, file, script, &totals);
    check_totals(&totals, &script->totals);
    CHECK_EQUAL(reading.has_peak, script->totals.peak_event > events);
    if (reading.has_peak)
        CHECK_EQUAL(reading.highest_moment_bytes, script->totals.peak_bytes);
    compare(&reading, &count, script);
    uint64_t tallies = reading.tallies;
    free(reading.now);
    free(reading.at_peak);
    count_done(&count);
    close(file);
    return tallies;
}

static void random_scripts(void)
{
    static const size_t steps[] = {1, 3, 10, 100, 1000, 30000};
    uint64_t most_tallies = 0;
    for (uint64_t seed = 1; seed <= 8; seed++)
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            struct script script;
            script_random(&script, 1000 + seed, steps[i]);
            uint64_t tallies = check_script(&script, steps[i] * (seed % 4) / 4);
            most_tallies = tallies > most_tallies ? tallies : most_tallies;
            script_done(&script);
        }
    CHECK(most_tallies > 3);
}

/* The level goes up and down across the tally's beginning; the mark is before it, in it, or met again in it. */
static void peak_across_the_beginning(void)
{
    for (int late_bytes = 900; late_bytes <= 1100; late_bytes += 100) {
        struct script script = {0};
        for (int i = 0; i < 4; i++)
            script_node(&script, 0);
        uint32_t kept = script_allocate(&script, 50, 1, 0), high = script_allocate(&script, 1000, 2, 0);
        script_free(&script, high, 0);
        size_t listed = script.count;
        script_free(&script, kept, 0);
        kept = script_allocate(&script, 50, 3, 0);
        high = script_allocate(&script, (uint64_t)late_bytes, 4, 0);
        script_free(&script, high, 0);
        script_free(&script, kept, 0);
        CHECK_EQUAL(check_script(&script, listed), 1);
        CHECK_EQUAL(script.totals.peak_event, late_bytes > 1000 ? 6 : 2);
        script_done(&script);
    }
}

/* More moments than there is room for: every other one goes, and the highest level stays. */
static void long_stretch(void)
{
    struct script script = {0};
    struct trace_totals totals;
    struct reading reading;
    script_tally(&script);
    for (uint64_t i = 0; i < 5000; i++) {
        script_free(&script, script_allocate(&script, i == 3210 ? 5000000 : 100 + i, 0, 0), 0);
        script_event(&script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 19000 * (i + 1)});
    }
    int file = script_record(&script, TRACE_END_EXIT);
    read_trace(&reading, file, &script, &totals);
    CHECK_EQUAL(reading.tallies, 1);
    CHECK(reading.moments > 200 && reading.moments <= 512);
    CHECK_EQUAL(reading.highest_moment_bytes, 5000000);
    free(reading.now);
    free(reading.at_peak);
    close(file);
    script_done(&script);
}

/* ---- the bound ---- */

static struct trace_writer *open_bounded(int *ret_file, uint64_t max_bytes)
{
    struct trace_writer *writer;
    *ret_file = script_open_file();
    CHECK_EQUAL(trace_writer_open(*ret_file, &script_identity, &writer), 0);
    trace_writer_bound(writer, max_bytes);
    return writer;
}

static int define_stack(struct trace_writer *writer, uint32_t id, uint64_t address)
{
    return trace_writer_define(writer, &(struct trace_definition){
        .kind = TRACE_DEFINE_NODE, .node = {.stack_id = id, .caller_id = id - 1, .frame_kind = TRACE_FRAME_NATIVE, .address = address}});
}

/* Noise: stacks without end, blocks of random sizes. Returns how many stacks were accepted. */
static uint32_t write_noise(struct trace_writer *writer, uint32_t stacks, uint32_t events, uint64_t seed)
{
    uint32_t defined = 0, slots[1000], slot_count = 0;
    for (uint32_t i = 0; i < events; i++) {
        if (defined == i / (events / stacks) && defined < stacks)
            defined += define_stack(writer, defined + 1, check_random(&seed) >> 20) == 0;
        if (slot_count == 1000) {
            uint32_t at = (uint32_t)(check_random(&seed) % slot_count);
            trace_writer_free(writer, slots[at], 0);
            slots[at] = slots[--slot_count];
        }
        slots[slot_count++] = trace_writer_allocate(writer, check_random(&seed) >> 40, (uint32_t)(check_random(&seed) % (stacks + 1)), 0);
        if (i % 1000 == 0) {
            trace_writer_time(writer, 1000000ull * i);
            trace_writer_flush(writer);
        }
    }
    return defined;
}

static void check_bound(uint64_t max_bytes, uint32_t stacks, uint32_t events, int is_enough)
{
    struct trace_reader *reader;
    struct status_detail detail;
    int file, status;
    struct trace_writer *writer = open_bounded(&file, max_bytes);
    uint32_t defined = write_noise(writer, stacks, events, 11);
    CHECK_EQUAL(defined == stacks, is_enough);
    CHECK_EQUAL(define_stack(writer, defined + 1, 0), is_enough ? 0 : STATUS_TOO_LARGE);
    struct trace_totals totals = *trace_writer_totals(writer);
    CHECK_EQUAL(totals.allocations, events);
    trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT, .time_ns = 1ull << 50});
    CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
    CHECK(trace_reader_overview(reader)->has_tally);
    CHECK(trace_reader_overview(reader)->file_bytes <= max_bytes && trace_reader_overview(reader)->file_bytes > max_bytes / 2);
    while ((status = trace_reader_next_block(reader, &detail)) == 0)
        ;
    CHECK_EQUAL(status, STATUS_END);
    check_totals(trace_reader_totals(reader), &totals);
    trace_reader_close(reader);
    close(file);
}

static void bounds(void)
{
    check_bound(TRACE_MIN_BOUND_BYTES, 100, 400000, 1);
    check_bound(TRACE_MIN_BOUND_BYTES, 5000, 400000, 1);
    check_bound(TRACE_MIN_BOUND_BYTES, 400000, 400000, 0);
    check_bound(3 * TRACE_MIN_BOUND_BYTES, 10000, 1200000, 1);
}

/* A bound that is never reached changes nothing. */
static void unreached_bound(void)
{
    char bytes[2][100000];
    ssize_t counts[2];
    for (int bounded = 0; bounded < 2; bounded++) {
        struct script script;
        int file;
        script_random(&script, 3, 3000);
        struct trace_writer *writer = open_bounded(&file, bounded ? 64 * TRACE_MIN_BOUND_BYTES : 0);
        script_write(&script, writer);
        trace_writer_close(writer, NULL);
        counts[bounded] = pread(file, bytes[bounded], sizeof bytes[0], 0);
        close(file);
        script_done(&script);
    }
    CHECK(counts[0] > 1000 && counts[0] < (ssize_t)sizeof bytes[0]);
    CHECK_EQUAL(counts[0], counts[1]);
    CHECK_BYTES(bytes[0], bytes[1], (size_t)counts[0]);
}

/* A child of a process whose trace has reached its bound begins with all that is live, and a bound of its own. */
static void fork_while_tallying(void)
{
    struct trace_writer *parent, *child;
    struct trace_reader *reader;
    struct trace_event event;
    uint32_t *map, events = 0;
    int file, child_file = script_open_file();
    parent = open_bounded(&file, 64 * TRACE_MIN_BOUND_BYTES);
    CHECK_EQUAL(define_stack(parent, 1, 16), 0);
    uint32_t first = trace_writer_allocate(parent, 100, 1, 0), second = trace_writer_allocate(parent, 200, 1, TRACE_OBJECT);
    trace_writer_begin_tally(parent);
    trace_writer_free(parent, first, 0);
    uint32_t third = trace_writer_allocate(parent, 300, 1, TRACE_REALLOC);
    CHECK_EQUAL(third, first);
    CHECK_EQUAL(trace_writer_fork(parent, child_file, &script_identity, &no_intervals, &child, &map), 0);
    CHECK_EQUAL(trace_writer_totals(child)->live_bytes, 500);
    CHECK_EQUAL(trace_writer_totals(child)->allocations, 0);
    CHECK_EQUAL(live_slots_size(trace_writer_slots(child), map[third]), 300);
    CHECK_EQUAL(live_slot_flags(&trace_writer_slots(child)->slots[map[third]]), TRACE_REALLOC | TRACE_INHERITED);
    CHECK_EQUAL(live_slot_flags(&trace_writer_slots(child)->slots[map[second]]), TRACE_OBJECT | TRACE_INHERITED);
    free(map);
    trace_writer_close(parent, NULL);
    trace_writer_close(child, NULL);
    CHECK_EQUAL(script_reader(child_file, &reader, NULL), 0);
    CHECK(!trace_reader_overview(reader)->has_tally);
    CHECK_EQUAL(trace_reader_next_block(reader, NULL), 0);
    while (trace_reader_next_event(reader, &event, NULL) == 0)
        events++;
    CHECK_EQUAL(events, 2);
    trace_reader_close(reader);
    close(file);
    close(child_file);
}

/* What a parent has live may be more than the child's bound allows to list: then it is partly added up. */
static void fork_beyond_the_bound(void)
{
    struct trace_writer *parent, *child;
    struct trace_reader *reader;
    struct status_detail detail;
    uint32_t *map;
    int file, child_file = script_open_file(), status;
    uint64_t seed = 5, live_bytes = 0;
    parent = open_bounded(&file, TRACE_MIN_BOUND_BYTES);
    for (uint32_t i = 0; i < 600000; i++) {
        uint64_t size_bytes = check_random(&seed) >> 36;
        live_bytes += size_bytes;
        trace_writer_allocate(parent, size_bytes, 0, 0);
    }
    CHECK_EQUAL(trace_writer_fork(parent, child_file, &script_identity, &no_intervals, &child, &map), 0);
    CHECK_EQUAL(trace_writer_totals(child)->live_bytes, live_bytes);
    for (uint32_t i = 0; i < 600000; i += 2)
        trace_writer_free(child, map[i], 0);
    live_bytes = trace_writer_totals(child)->live_bytes;
    free(map);
    trace_writer_close(parent, NULL);
    trace_writer_close(child, NULL);
    CHECK_EQUAL(script_reader(child_file, &reader, NULL), 0);
    CHECK(trace_reader_overview(reader)->has_tally && trace_reader_overview(reader)->file_bytes <= TRACE_MIN_BOUND_BYTES);
    while ((status = trace_reader_next_block(reader, &detail)) == 0)
        ;
    CHECK_EQUAL(status, STATUS_END);
    CHECK_EQUAL(trace_reader_totals(reader)->live_bytes, live_bytes);
    CHECK_EQUAL(trace_reader_totals(reader)->allocations, 0);
    trace_reader_close(reader);
    close(file);
    close(child_file);
}

/* The disk is full before the bound is reached, or while tallies are written: the file ends with its last whole block. */
static void full_disk(void)
{
    static const rlim_t limits[] = {600000, 300000};
    signal(SIGXFSZ, SIG_IGN);
    for (int tallies = 0; tallies < 2; tallies++) {
        struct rlimit before, low;
        struct trace_reader *reader;
        struct status_detail detail;
        int file, status;
        struct trace_writer *writer = open_bounded(&file, TRACE_MIN_BOUND_BYTES << 6 * tallies);
        if (tallies)
            trace_writer_begin_tally(writer);
        CHECK_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
        low = (struct rlimit){limits[tallies], before.rlim_max};
        CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &low), 0);
        write_noise(writer, 100000, 800000, 3);
        CHECK_EQUAL(trace_writer_failed(writer), EFBIG);
        CHECK_EQUAL(trace_writer_totals(writer)->allocations, 800000);
        trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT, .time_ns = 1ull << 50});
        CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
        CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
        CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
        CHECK_EQUAL(trace_reader_overview(reader)->has_tally, tallies);
        CHECK(!trace_reader_overview(reader)->has_end);
        while ((status = trace_reader_next_block(reader, &detail)) == 0)
            ;
        CHECK_EQUAL(status, STATUS_END);
        trace_reader_close(reader);
        close(file);
    }
}

/* ---- made-up tallies ---- */

/* One stack, which allocates 5 bytes in the data block before; and the tally's header and sections. */
struct made_up {
    const uint8_t *section[TALLY_SECTION_COUNT];
    uint32_t bytes[TALLY_SECTION_COUNT];
    struct trace_block block; /* of the tally; what every case needs is filled in */
    uint32_t next_type;       /* a block like it once more, of this type; 0: none */
};

#define SECTION(name, ...)                                                             \
    .section[TALLY_SECTION_##name] = (const uint8_t[]){__VA_ARGS__}, .bytes[TALLY_SECTION_##name] = sizeof((const uint8_t[]){__VA_ARGS__})
#define FIGURES SECTION(FIGURES, 0, 0, 0, 0, 0)
#define MOMENT SECTION(MOMENTS, 1, 5, 0, 0)

static void put_block(int file, struct trace_block block, const uint8_t *raw, size_t raw_bytes)
{
    uint8_t stored[65536], header[TRACE_BLOCK_HEADER_BYTES];
    block.raw_bytes = (uint32_t)raw_bytes;
    block.stored_bytes = (uint32_t)ZSTD_compress(stored, sizeof stored, raw, raw_bytes, 1);
    block.payload_checksum = checksum_crc32c(stored, block.stored_bytes);
    trace_block_pack(&block, header);
    CHECK_EQUAL(write(file, header, sizeof header), sizeof header);
    CHECK_EQUAL(write(file, stored, block.stored_bytes), block.stored_bytes);
}

static int made_up_file(const struct made_up *made)
{
    uint8_t raw[65536];
    size_t raw_bytes = TALLY_SECTION_TABLE_BYTES;
    struct trace_writer *writer;
    int file = script_open_file();
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), 0);
    CHECK_EQUAL(define_stack(writer, 1, 16), 0);
    trace_writer_allocate(writer, 5, 1, 0);
    trace_writer_close(writer, NULL);
    for (int i = 0; i < TALLY_SECTION_COUNT; i++) {
        put_u32(raw + 4 * i, made->bytes[i]);
        if (made->section[i]) {
            memcpy(raw + raw_bytes, made->section[i], made->bytes[i]);
            raw_bytes += made->bytes[i];
        }
    }
    CHECK(lseek(file, 0, SEEK_END) > 0);
    struct trace_block block = made->block;
    block.type = TRACE_BLOCK_TALLY;
    block.sequence = 1;
    block.first_event = 1;
    block.end_time_ns = 1;
    if (!block.end_level.outside_bytes)
        block.end_level.outside_bytes = 5;
    put_block(file, block, raw, raw_bytes);
    if (made->next_type) {
        block.type = made->next_type;
        block.sequence = 2;
        block.start_time_ns = 1;
        block.first_event += block.event_count;
        put_block(file, block, raw, raw_bytes);
    }
    return file;
}

/* Expects `message` to be part of the error's (NULL: no error). */
static void check_made_up(const struct made_up *made, const char *message)
{
    struct trace_reader *reader;
    struct trace_event event;
    struct status_detail detail = {0};
    int file = made_up_file(made);
    CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
    int status = trace_reader_damage(reader, &detail);
    while (!status && !(status = trace_reader_next_block(reader, &detail))) {
        while (!(status = trace_reader_next_event(reader, &event, &detail)))
            ;
        if (status == STATUS_END)
            status = 0;
    }
    CHECK_EQUAL(status, message ? STATUS_CORRUPT : STATUS_END);
    if (message && !strstr(detail.message, message)) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", detail.message, message);
        exit(1);
    }
    trace_reader_close(reader);
    close(file);
}

#define SEVEN_BYTES .block = {.event_count = 1, .end_level.outside_bytes = 7, .peak_event = 1, .peak_bytes = 7, .peak_time_ns = 1}

static void made_up_tallies(void)
{
    /* Nothing happens; a second stack is defined; two bytes more, the mark, and so on: what the cases below spoil. */
    check_made_up(&(struct made_up){FIGURES, MOMENT}, NULL);
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(DEFINITIONS, TRACE_DEFINE_NODE, TRACE_FRAME_CUT, 0), SECTION(STACKS, 2, 2, 0, 1)}, NULL);
    check_made_up(&(struct made_up){SEVEN_BYTES, SECTION(FIGURES, 0, 0, 0, 0, 0, 7, 0), SECTION(MOMENTS, 1, 7, 0, 0),
                                    SECTION(STACKS, 1, 1 | 2 | 16, 4, 2, 2, 1, 4, 2)}, NULL);
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 32, 0, 0)}, NULL);
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 0, 3, 2, 0, 1, 5, 0, 0)}, NULL);
    check_made_up(&(struct made_up){FIGURES, MOMENT, .block.event_count = 3}, NULL);

    check_made_up(&(struct made_up){FIGURES, MOMENT, .bytes[TALLY_SECTION_STACKS] = 1}, "longer than its block");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .bytes[TALLY_SECTION_STACKS] = 0xffffffff}, "longer than its block");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .section[TALLY_SECTION_STACKS] = (const uint8_t *)"x"}, NULL);
    check_made_up(&(struct made_up){MOMENT}, "figures");
    check_made_up(&(struct made_up){SECTION(FIGURES, 0, 0, 0, 0), MOMENT}, "figures");
    check_made_up(&(struct made_up){SECTION(FIGURES, 0, 0, 0, 0, 0, 0), MOMENT}, "figures");
    check_made_up(&(struct made_up){SECTION(FIGURES, 0, 0, 0, 0, 0x80), MOMENT}, "figures");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, 9), FIGURES, MOMENT}, "malformed");
    /* moments */
    check_made_up(&(struct made_up){FIGURES}, "another level");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 0, 5, 0, 0)}, "another level");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 1, 4, 1, 0)}, "another level");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 1, 5, 1, 0)}, "another level");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 2, 5, 0, 0)}, "outside its time");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 1, 5, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 5, 0, 0)},
                  "outside its time");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0)}, "overflow");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 1, 5, 0)}, "moments");
    /* stacks */
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1)}, "impossible parts");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 64)}, "impossible parts");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 16, 0, 0)}, "impossible parts");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 2, 1)}, "stacks");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 2, 2, 0, 1)}, "undefined stack");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 2, 0, 1, 0, 2, 0, 1)}, "undefined stack");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 2, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 0, 1)},
                  "undefined stack");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 1, 2, 0)}, "another heap level");
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 1, 7, 0, 0), SECTION(STACKS, 1, 1, 4, 2), .block.end_level.outside_bytes = 7},
                  "another level");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 32, 2, 0)}, "didn't have");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 0, 32, 0, 0)}, "didn't have");
    check_made_up(&(struct made_up){FIGURES, MOMENT, SECTION(STACKS, 1, 32, 0, 5)}, "younger");
    /* the mark */
    check_made_up(&(struct made_up){SEVEN_BYTES, SECTION(FIGURES, 0, 0, 0, 0, 0, 6, 0), SECTION(MOMENTS, 1, 7, 0, 0),
                                    SECTION(STACKS, 1, 1 | 2 | 16, 4, 2, 2, 1, 4, 2)}, "high-water mark");
    check_made_up(&(struct made_up){SEVEN_BYTES, SECTION(FIGURES, 0, 0, 0, 0, 0, 0, 7), SECTION(MOMENTS, 1, 7, 0, 0),
                                    SECTION(STACKS, 1, 1 | 2 | 16, 4, 2, 2, 1, 4, 2)}, "high-water mark");
    check_made_up(&(struct made_up){SEVEN_BYTES, SECTION(FIGURES, 0, 0, 0, 0, 0, 7, 0), SECTION(MOMENTS, 1, 7, 0, 0),
                                    SECTION(STACKS, 1, 1 | 2 | 16, 4, 2, 2, 1, 2, 2)}, "high-water mark");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .block = {.peak_bytes = 1}}, "high-water mark");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .block = {.event_count = 1, .peak_event = 1, .peak_bytes = 5, .peak_time_ns = 2}}, "high-water mark");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .block = {.peak_event = 1}}, "event count is out of bounds");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .block = {.event_count = TRACE_MAX_TALLY_EVENTS + 1}}, "event count is out of bounds");
    /* what comes behind */
    check_made_up(&(struct made_up){FIGURES, SECTION(MOMENTS, 0, 5, 0, 0, 1, 5, 0, 0), .next_type = TRACE_BLOCK_TALLY}, "outside its time");
    check_made_up(&(struct made_up){FIGURES, MOMENT, .next_type = TRACE_BLOCK_DATA}, "");
}

int main(void)
{
    random_scripts();
    peak_across_the_beginning();
    long_stretch();
    bounds();
    unreached_bound();
    fork_while_tallying();
    fork_beyond_the_bound();
    full_disk();
    made_up_tallies();
    return 0;
}
