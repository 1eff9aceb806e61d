/* What a trace writer promises beyond the round trip: totals and high-water mark by the rules of trace_event.h, limits, full
 * disks, no memory, and forks. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "trace_format.h"
#include "trace_script.h"

/* The sanitizer's own mappings don't fit under a limit of address space. gcc says that it is there one way, clang another. */
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#define ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define ADDRESS_SANITIZER 0
#endif

static const struct trace_slot_intervals no_intervals;

static struct trace_writer *open_writer(int file)
{
    struct trace_writer *writer;
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), 0);
    return writer;
}

static void define_stacks(struct trace_writer *writer, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i <= last; i++)
        CHECK_EQUAL(trace_writer_define(writer, &(struct trace_definition){.kind = TRACE_DEFINE_NODE,
                                                                           .node = {.stack_id = i, .frame_kind = TRACE_FRAME_CUT}}), 0);
}

/* ---- accounting ---- */

/* heap = outside + max(arenas, objects in arenas); of equally high instants the one with most objects, and of those the first */
static void peak_rule(void)
{
    const struct trace_totals *totals;
    struct trace_writer *writer = open_writer(script_open_file());
    totals = trace_writer_totals(writer);
    trace_writer_allocate(writer, 0, 0, 0);
    CHECK_EQUAL(totals->peak_event, 0);
    trace_writer_time(writer, 10);
    uint32_t arena = trace_writer_allocate(writer, 1000, 0, TRACE_ARENA | TRACE_MAPPING); /* event 2: 1000, nothing in it */
    CHECK_EQUAL(totals->peak_event, 2);
    CHECK_EQUAL(totals->peak_bytes, 1000);
    CHECK_EQUAL(totals->peak_time_ns, 10);
    CHECK_EQUAL(totals->allocations, 1);
    CHECK_EQUAL(totals->allocated_bytes, 0);
    trace_writer_time(writer, 20);
    uint32_t first = trace_writer_allocate(writer, 600, 0, TRACE_OBJECT | TRACE_IN_ARENA); /* 3: still 1000, 600 of it used */
    CHECK_EQUAL(totals->peak_event, 3);
    CHECK_EQUAL(totals->peak_bytes, 1000);
    CHECK_EQUAL(totals->peak_time_ns, 20);
    trace_writer_free(writer, first, 0);
    trace_writer_allocate(writer, 600, 0, TRACE_OBJECT | TRACE_IN_ARENA); /* 5: the same again */
    CHECK_EQUAL(totals->peak_event, 3);
    trace_writer_allocate(writer, 500, 0, TRACE_OBJECT | TRACE_IN_ARENA); /* 6: more than the arena */
    CHECK_EQUAL(totals->peak_event, 6);
    CHECK_EQUAL(totals->peak_bytes, 1100);
    trace_writer_shrink(writer, arena, 400);
    CHECK_EQUAL(totals->live_bytes, 1100);
    uint32_t outside = trace_writer_allocate(writer, 7, 0, TRACE_INHERITED); /* 8 */
    CHECK_EQUAL(totals->peak_bytes, 1107);
    CHECK_EQUAL(totals->peak_event, 8);
    CHECK_EQUAL(totals->allocations, 4);
    CHECK_EQUAL(totals->allocated_bytes, 1700);
    trace_writer_free(writer, outside, TRACE_REALLOC);
    CHECK_EQUAL(totals->live_bytes, 1100);
    trace_writer_undo_free(writer, 8, 0, TRACE_INHERITED); /* 10: takes a deallocation back, allocates nothing */
    CHECK_EQUAL(totals->peak_event, 10);
    CHECK_EQUAL(totals->peak_bytes, 1108);
    CHECK_EQUAL(totals->allocations, 4);
    CHECK_EQUAL(totals->event_count, 10);
    trace_writer_close(writer, NULL);
}

static void running_totals(void)
{
    struct trace_writer *writer = open_writer(script_open_file());
    const struct trace_totals *totals = trace_writer_totals(writer);
    trace_writer_copy(writer, 5000, 0);
    trace_writer_small_copies(writer, 100, 900);
    trace_writer_copy(writer, 6000, 0);
    trace_writer_small_copies(writer, 120, 1000);
    CHECK_EQUAL(totals->copies, 122);
    CHECK_EQUAL(totals->copied_bytes, 12000);
    CHECK_EQUAL(totals->event_count, 2);
    trace_writer_lost(writer, 3);
    trace_writer_lost(writer, 5);
    CHECK_EQUAL(totals->lost_events, 5);
    trace_writer_unknown_frees(writer, 9);
    CHECK_EQUAL(totals->unknown_frees, 9);
    trace_writer_rss(writer, 100);
    trace_writer_rss(writer, 90);
    CHECK_EQUAL(totals->peak_rss_bytes, 100);
    size_t pending = trace_writer_pending_bytes(writer);
    trace_writer_lost(writer, 5);
    trace_writer_unknown_frees(writer, 9);
    trace_writer_small_copies(writer, 120, 1000);
    trace_writer_thread(writer, 0);
    trace_writer_time(writer, 0);
    CHECK_EQUAL(trace_writer_pending_bytes(writer), pending);
    trace_writer_close(writer, NULL);
}

/* ---- limits ---- */

static int read_whole(int file, struct trace_event *events, size_t capacity, size_t *ret_count)
{
    struct trace_reader *reader;
    int status;
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_damage(reader, NULL), 0);
    size_t count = 0;
    while ((status = trace_reader_next_block(reader, NULL)) == 0)
        while (count < capacity && trace_reader_next_event(reader, &events[count], NULL) == 0)
            count++;
    trace_reader_close(reader);
    *ret_count = count;
    return status;
}

static void limits(void)
{
    int file = script_open_file();
    struct trace_writer *writer = open_writer(file);
    struct trace_event events[16];
    size_t count;
    define_stacks(writer, 1, 2);
    CHECK_EQUAL(trace_writer_allocate(writer, UINT64_MAX, 2, 0xffff), 0);
    CHECK_EQUAL(trace_writer_allocate(writer, 5, 3, 0), 1); /* stack 3 isn't defined */
    trace_writer_copy(writer, 1ull << 60, 77);
    trace_writer_thread(writer, 12);                         /* nor is thread 12 */
    trace_writer_shrink(writer, 1, 6);
    trace_writer_time(writer, 100);
    trace_writer_time(writer, 99);
    CHECK_EQUAL(trace_writer_undo_free(writer, UINT64_MAX, 5, 0xff), 2);
    trace_writer_close(writer, NULL);
    CHECK_EQUAL(read_whole(file, events, 16, &count), STATUS_END);
    CHECK_EQUAL(count, 6);
    CHECK_EQUAL(events[0].size_bytes, (1ull << 56) - 1);
    CHECK_EQUAL(events[0].stack_id, 2);
    CHECK_EQUAL(events[0].flags, 0x3f);
    CHECK_EQUAL(events[1].stack_id, 0);
    CHECK_EQUAL(events[2].kind, TRACE_COPY);
    CHECK_EQUAL(events[2].size_bytes, (1ull << 56) - 1);
    CHECK_EQUAL(events[2].stack_id, 0);
    CHECK_EQUAL(events[3].kind, TRACE_SHRINK);
    CHECK_EQUAL(events[3].size_bytes, 5);
    CHECK_EQUAL(events[4].time_ns, 100);
    CHECK_EQUAL(events[5].kind, TRACE_UNDO_FREE);
    CHECK_EQUAL(events[5].stack_id, 0);
    CHECK_EQUAL(events[5].flags, 0x3f);
    close(file);
}

static int define(struct trace_writer *writer, struct trace_definition definition)
{
    return trace_writer_define(writer, &definition);
}

static void wrong_definitions(void)
{
    struct trace_writer *writer = open_writer(script_open_file());
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = 9}), STATUS_INVALID);
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_CODE, .code = {.code_id = 2}}), STATUS_INVALID);
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_MODULE, .module = {.module_id = 0}}), STATUS_INVALID);
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {.thread_id = 2}}), STATUS_INVALID);
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 1, .caller_id = 1,
                                                                                             .frame_kind = TRACE_FRAME_CUT}}), STATUS_INVALID);
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 1, .frame_kind = TRACE_FRAME_PYTHON,
                                                                                             .code_id = 1}}), STATUS_INVALID);
    CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_NODE, .node = {.stack_id = 1, .frame_kind = 3}}), STATUS_INVALID);
    CHECK_EQUAL(trace_writer_pending_bytes(writer), 0);
    trace_writer_close(writer, NULL);
}

/* Strings past 1 MiB are cut, line tables past 16 MiB left out; both kinds fill blocks of their own. */
static void long_strings(void)
{
    int file = script_open_file();
    struct trace_writer *writer = open_writer(file);
    struct trace_reader *reader;
    struct trace_definition definition;
    char *text = malloc(17u << 20);
    CHECK(text);
    memset(text, 'x', 17u << 20);
    for (uint32_t i = 1; i <= 4; i++)
        CHECK_EQUAL(define(writer, (struct trace_definition){.kind = TRACE_DEFINE_CODE,
                                                             .code = {.code_id = i, .file = text, .file_bytes = 5u << 20,
                                                                      .line_table = (const uint8_t *)text,
                                                                      .line_table_bytes = i % 2 ? 16u << 20 : (16u << 20) + 1}}), 0);
    trace_writer_close(writer, NULL);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    uint32_t seen = 0;
    while (trace_reader_next_block(reader, NULL) == 0)
        while (trace_reader_next_definition(reader, &definition, NULL) == 0) {
            CHECK_EQUAL(definition.code.code_id, ++seen);
            CHECK_EQUAL(definition.code.file_bytes, 1u << 20);
            CHECK_EQUAL(definition.code.line_table_bytes, seen % 2 ? 16u << 20 : 0);
            CHECK_BYTES(definition.code.line_table, text, definition.code.line_table_bytes);
        }
    CHECK_EQUAL(seen, 4);
    trace_reader_close(reader);
    free(text);
    close(file);
}

/* ---- failures ---- */

static void full_at_once(void)
{
    struct trace_writer *writer = NULL;
    int file = open("/dev/full", O_RDWR);
    if (file < 0)
        return;
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), STATUS_SYSTEM);
    CHECK_EQUAL(errno, ENOSPC);
    CHECK(!writer);
    close(file);
}

/* The disk fills up in the middle of a block: the file is cut back to whole blocks, the writer goes on assigning slots. At the end it says in the
 * room that is left why the trace is cut, and how much is missing. */
static void full_later(void)
{
    struct script script;
    struct trace_reader *reader;
    struct rlimit unlimited, limit = {20000, 20000};
    script_random(&script, 8, 30000);
    char path[] = "/tmp/heapline-test-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    unlink(path);
    struct trace_writer *writer = open_writer(file);
    signal(SIGXFSZ, SIG_IGN);
    CHECK_EQUAL(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    limit.rlim_max = unlimited.rlim_max;
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    script_write(&script, writer);
    CHECK_EQUAL(trace_writer_failed(writer), EFBIG);
    CHECK_EQUAL(trace_writer_totals(writer)->event_count, script.totals.event_count);
    uint64_t file_bytes = trace_writer_file_bytes(writer), lost_before = script.totals.lost_events;
    trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT});
    CHECK_EQUAL(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    CHECK(lseek(file, 0, SEEK_END) > (off_t)file_bytes);
    CHECK(lseek(file, 0, SEEK_END) <= 20000);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_damage(reader, NULL), 0);
    CHECK(!trace_reader_overview(reader)->has_end);
    CHECK(trace_reader_overview(reader)->event_count > 100);
    struct status_detail detail;
    struct trace_event event;
    while (trace_reader_next_block(reader, &detail) == 0)
        while (trace_reader_next_event(reader, &event, &detail) == 0)
            ;
    CHECK_EQUAL(trace_reader_totals(reader)->event_count, trace_reader_overview(reader)->event_count);
    CHECK_EQUAL(trace_reader_totals(reader)->lost_events, lost_before + script.totals.event_count - trace_reader_overview(reader)->event_count);
    trace_reader_close(reader);
    close(file);
    script_done(&script);
}

#if !ADDRESS_SANITIZER
/* No memory for another slot: the event counts as lost, in the file too, and everything else goes on. */
static void no_memory(void)
{
    int file = script_open_file();
    struct trace_writer *writer = open_writer(file);
    struct trace_reader *reader;
    struct rlimit unlimited, limit;
    uint64_t allocated = 0, lost = 0;
    trace_writer_flush(writer);
    CHECK_EQUAL(getrlimit(RLIMIT_AS, &unlimited), 0);
    limit = (struct rlimit){64u << 20, unlimited.rlim_max};
    CHECK_EQUAL(setrlimit(RLIMIT_AS, &limit), 0);
    for (uint32_t i = 0; i < 10000000 && lost < 3; i++) {
        uint32_t slot = trace_writer_allocate(writer, 16, 0, 0);
        if (slot == SLOT_NONE)
            lost++;
        else
            CHECK_EQUAL(slot, allocated++);
    }
    CHECK_EQUAL(lost, 3);
    trace_writer_free(writer, 7, 0);
    CHECK_EQUAL(trace_writer_allocate(writer, 16, 0, 0), 7);
    CHECK_EQUAL(trace_writer_undo_free(writer, 16, 0, 0), SLOT_NONE);
    trace_writer_lost(writer, 10);
    CHECK_EQUAL(trace_writer_totals(writer)->lost_events, 14);
    CHECK_EQUAL(trace_writer_allocate(writer, 16, 0, 0), SLOT_NONE);
    CHECK_EQUAL(trace_writer_totals(writer)->lost_events, 15);
    CHECK_EQUAL(setrlimit(RLIMIT_AS, &unlimited), 0);
    CHECK_EQUAL(trace_writer_failed(writer), 0);
    trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT});
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_overview(reader)->end.totals.lost_events, 15);
    while (trace_reader_next_block(reader, NULL) == 0)
        ;
    CHECK_EQUAL(trace_reader_totals(reader)->lost_events, 15);
    CHECK_EQUAL(trace_reader_totals(reader)->allocations, allocated + 1);
    CHECK_EQUAL(trace_reader_slots(reader)->live_count, allocated);
    trace_reader_close(reader);
    close(file);
}
#endif

/* ---- forks ---- */

/* What the child's trace must begin with: the parent's definitions, its live blocks in the order of their slots. */
static void inherited_script(const struct script *parent, struct script *child)
{
    *child = (struct script){0};
    for (size_t i = 0; i < parent->count; i++)
        if (parent->steps[i].what == STEP_DEFINE)
            script_define(child, &parent->steps[i].definition);
    for (uint32_t slot = 0; slot < parent->slot_count; slot++)
        if (parent->slots[slot].live)
            script_allocate(child, parent->slots[slot].size_bytes, parent->slots[slot].stack_id,
                            parent->slots[slot].flags | TRACE_INHERITED);
}

static void fork_of_a_trace(void)
{
    struct script parent, child;
    struct trace_writer *parent_writer, *child_writer;
    struct trace_reader *reader;
    uint32_t *slot_map;
    struct trace_identity identity = script_identity;
    int parent_file = script_open_file(), child_file = script_open_file();
    identity.pid = 4343;
    identity.flags |= TRACE_FORKED;
    script_random(&parent, 9, 20000);
    script_find_peak(&parent);
    parent_writer = open_writer(parent_file);
    script_write(&parent, parent_writer);
    CHECK_EQUAL(trace_writer_fork(parent_writer, child_file, &identity, &no_intervals, &child_writer, &slot_map), 0);

    inherited_script(&parent, &child);
    uint32_t next = 0, used = trace_writer_slots(parent_writer)->used_count;
    for (uint32_t slot = 0; slot < used; slot++)
        CHECK_EQUAL(slot_map[slot], parent.slots[slot].live ? next++ : SLOT_NONE);
    CHECK_EQUAL(next, child.live_count);

    /* both go on: the child frees what it inherited and allocates, the parent knows nothing of it */
    for (uint32_t slot = 0; slot < used; slot++)
        if (slot_map[slot] != SLOT_NONE && slot % 3 == 0) {
            trace_writer_free(child_writer, slot_map[slot], 0);
            script_free(&child, slot_map[slot], 0);
        }
    uint32_t stack = child.stacks + 1;
    script_node(&child, 1);
    CHECK_EQUAL(trace_writer_define(child_writer, &child.steps[child.count - 1].definition), 0);
    CHECK_EQUAL(trace_writer_allocate(child_writer, 99, stack, 0), script_allocate(&child, 99, stack, 0));
    CHECK_EQUAL(trace_writer_allocate(parent_writer, 77, 1, 0), script_allocate(&parent, 77, 1, 0));
    free(slot_map);
    script_find_peak(&child);
    script_find_peak(&parent);
    check_totals(trace_writer_totals(child_writer), &child.totals);
    check_totals(trace_writer_totals(parent_writer), &parent.totals);
    CHECK_EQUAL(child.totals.allocations, 1);
    trace_writer_close(child_writer, &(struct trace_end){.reason = TRACE_END_SIGNAL, .status = 11});
    trace_writer_close(parent_writer, &(struct trace_end){.reason = TRACE_END_EXIT});

    CHECK_EQUAL(script_reader(child_file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_overview(reader)->identity.pid, 4343);
    CHECK_EQUAL(trace_reader_overview(reader)->identity.flags, TRACE_NATIVE | TRACE_FORKED);
    CHECK_EQUAL(trace_reader_overview(reader)->peak_event, child.totals.peak_event);
    CHECK_EQUAL(trace_reader_overview(reader)->end.status, 11);
    struct script_progress progress = script_check(&child, reader, NULL);
    CHECK_EQUAL(progress.status, STATUS_END);
    CHECK_EQUAL(progress.events, script_event_steps(&child));
    CHECK_EQUAL(progress.definitions, script_definition_steps(&child));
    trace_reader_close(reader);

    CHECK_EQUAL(script_reader(parent_file, &reader, NULL), 0);
    CHECK_EQUAL(script_check(&parent, reader, NULL).events, script_event_steps(&parent));
    trace_reader_close(reader);
    close(child_file);
    close(parent_file);
    script_done(&child);
    script_done(&parent);
}

static void fork_without_a_disk(void)
{
    struct trace_writer *writer = open_writer(script_open_file()), *child = NULL;
    uint32_t *slot_map = NULL;
    trace_writer_allocate(writer, 1, 0, 0);
    int full = open("/dev/full", O_RDWR);
    if (full >= 0) {
        CHECK_EQUAL(trace_writer_fork(writer, full, &script_identity, &no_intervals, &child, &slot_map), STATUS_SYSTEM);
        CHECK_EQUAL(errno, ENOSPC);
        CHECK(!child && !slot_map);
        close(full);
    }
    trace_writer_close(writer, NULL);
    trace_writer_close(NULL, NULL);
}

int main(void)
{
    peak_rule();
    running_totals();
    limits();
    wrong_definitions();
    long_strings();
    full_at_once();
    full_later();
    fork_of_a_trace();
    fork_without_a_disk();
#if !ADDRESS_SANITIZER
    no_memory();
#endif
    return 0;
}
