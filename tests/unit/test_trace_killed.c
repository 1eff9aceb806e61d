/* A writer that is killed at any of its writes, within it too: the rotated trace that it leaves reads, and can be made to say how many events it
 * lacks. A writer's writes are noted; the file after the first so many of them is what one would leave that was killed there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "replay.h"
#include "report_check.h"
#include "trace_epilogue.h"
#include "trace_format.h"
#include "trace_script.h"
#include "trace_space.h"

#define LOST 30
#define PAGE_BYTES 4096

/* ---- the writes ---- */

static struct note {
    uint64_t offset;
    size_t count;
    uint8_t *bytes;
} *notes;
static size_t note_count, note_capacity;

/* In libc's stead, by whichever name 64-bit offsets give it. */
ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    if (note_count == note_capacity) {
        note_capacity = 2 * note_capacity + 100;
        CHECK((notes = realloc(notes, note_capacity * sizeof *notes)));
    }
    struct note *note = &notes[note_count++];
    *note = (struct note){(uint64_t)offset, count, malloc(count)};
    CHECK(note->bytes);
    memcpy(note->bytes, bytes, count);
    return (ssize_t)syscall(SYS_pwrite64, file, bytes, count, offset);
}

static void forget_notes(void)
{
    while (note_count)
        free(notes[--note_count].bytes);
}

/* The file as it was after so many of them. A signal ends a write between two pages: `torn`, only what is on the first one of the last. */
static int file_after(size_t writes, int is_torn)
{
    int file = script_open_file();
    for (size_t i = 0; i < writes; i++) {
        size_t made = notes[i].count, in_page = PAGE_BYTES - notes[i].offset % PAGE_BYTES;
        if (is_torn && i == writes - 1)
            made = made > in_page ? in_page : 0;
        CHECK_EQUAL(syscall(SYS_pwrite64, file, notes[i].bytes, made, notes[i].offset), (long)made);
    }
    return file;
}

/* ---- one writer, killed ---- */

/* How many events it was given. */
static uint64_t write_all(const struct script *script, int file, const struct trace_rotate *settings)
{
    struct trace_writer *writer;
    uint32_t *slots = calloc(script->slot_count + 1, sizeof *slots);
    CHECK(slots);
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), 0);
    CHECK_EQUAL(trace_writer_rotate(writer, &script_identity, settings), 0);
    for (size_t i = 0; i < script->count; i++) {
        const struct script_step *step = &script->steps[i];
        if (step->what == STEP_EVENT)
            script_write_event(&step->event, writer, slots);
        else if (step->what == STEP_DEFINE)
            CHECK_EQUAL(trace_writer_define(writer, &step->definition), 0);
        else
            trace_writer_flush(writer);
    }
    trace_writer_flush(writer);
    uint64_t events = trace_writer_totals(writer)->event_count;
    CHECK_EQUAL(trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT, .time_ns = script->time_ns}), 0);
    free(slots);
    return events;
}

/* What it says before and after somebody has counted what is missing, twice. Returns 1: it has its end, and nothing is missing. */
static int check_trace(int file, uint64_t handed_events)
{
    struct replay *replay = replay_file(file);
    uint64_t listed_or_summed = replay->totals.event_count;
    int has_end = replay->overview.has_end;
    CHECK(has_end || !definition_table_property(&replay->definitions, TRACE_CUT_PROPERTY));
    replay_free(replay);
    for (uint64_t more = 0; more < 2; more++) {
        struct trace_epilogue epilogue = {"it was killed", handed_events, LOST + more};
        int status = trace_epilogue_write_of(file, script_identity.session_id, script_identity.pid, &epilogue);
        CHECK_EQUAL(status, has_end ? STATUS_INVALID : 0);
        if (status)
            break;
        replay = replay_file(file);
        CHECK_EQUAL(replay->totals.event_count, listed_or_summed);
        CHECK_EQUAL(replay->totals.lost_events, handed_events - listed_or_summed + LOST + more);
        CHECK_EQUAL(replay->overview.has_end, 0);
        CHECK_STRING(definition_table_property(&replay->definitions, TRACE_CUT_PROPERTY), "it was killed");
        replay_free(replay);
    }
    return has_end;
}

/* At the first and last ones, in between at each of those of some rotations, and at some others. */
static int is_chosen(size_t at, size_t step)
{
    size_t middle = note_count / 2;
    return at < 12 || at + 8 > note_count || (at >= middle && at < middle + 20) || at % step == 0;
}

static void kill_at_writes(const struct script *script, const struct trace_rotate *settings)
{
    int file = script_open_file(), ended = 0;
    uint64_t events = write_all(script, file, settings);
    size_t writes = note_count, step = writes / 10 + 1;
    close(file);
    CHECK(writes > 20);
    for (size_t at = 1; at <= writes; at++)
        for (int is_torn = 0; is_torn < 2 && is_chosen(at, step); is_torn++) {
            if (at == 1 && is_torn)
                continue; /* an empty file */
            file = file_after(at, is_torn);
            ended += check_trace(file, events);
            close(file);
            while (note_count > writes)
                free(notes[--note_count].bytes); /* what the check has written */
        }
    CHECK(ended > 0 && ended < 6); /* the end block stands a write or two before the last */
    forget_notes();
}

static void scripts(void)
{
    static const struct trace_rotate often = {TRACE_MIN_BOUND_BYTES, 1, 0}, by_size = {TRACE_MIN_BOUND_BYTES, 3000, 0};
    struct script script;
    script_random(&script, 1, 1500);
    kill_at_writes(&script, &often);
    script_done(&script);
    script_random(&script, 2, 20000);
    kill_at_writes(&script, &by_size);
    script_done(&script);
}

/* More is live than could be listed: everything is added up, and no part is being written to. */
static void added_up(void)
{
    struct script script = {0};
    uint64_t seed = 9;
    script_node(&script, 0);
    for (uint32_t i = 0; i < 45000; i++) {
        script_event(&script, (struct trace_event){.kind = TRACE_TIME, .time_ns = 10ull * i + 10});
        script_allocate(&script, check_random(&seed) % 5000, i % 2, 0);
        if (i % 1500 == 0)
            script_flush(&script);
    }
    kill_at_writes(&script, &(struct trace_rotate){TRACE_MIN_BOUND_BYTES, 0, 20000});
    script_done(&script);
}

int main(void)
{
    scripts();
    added_up();
    return 0;
}
