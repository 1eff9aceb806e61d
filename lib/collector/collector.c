/* See collector.h. */
#include "collector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "futex.h"
#include "process_properties.h"

#define MS 1000000ull
/* Between drains: while there is something to drain, and at most. */
#define BUSY_PAUSE_NS (1 * MS)
#define IDLE_PAUSE_NS (20 * MS)
#define RSS_BUSY_NS (10 * MS)
#define RSS_IDLE_NS (100 * MS)
#define RSS_UNCHANGED_NS (1000 * MS)
#define HOUSEKEEPING_NS (1000 * MS)
/* A killed collector loses no more events than those of a second. Of a target that does nothing, only samples of its RSS wait. */
#define FLUSH_IDLE_NS (10000 * MS)
#define EXEC_PENDING_NS (5 * MS)
#define EXEC_CHECK_NS (1000 * MS)
#define QUIET_PARALLEL_DRAINS 10
#define DETACHED_PAUSE_MS 1000

/* ---- start ---- */

void collector_identify(struct collector *collector)
{
    const struct session_header *session = collector->session;
    collector->identity = (struct trace_identity){
        .session_id = session->session_id,
        .start_monotonic_ns = session->start_monotonic_ns,
        .start_realtime_ns = session->start_realtime_ns,
        .sampling_interval_bytes = session->sampling_interval_bytes,
        .copy_threshold_bytes = session->copy_threshold_bytes,
        .pid = session->pid,
        .parent_pid = session->parent_pid,
        .flags = (session->flags & SESSION_NATIVE ? TRACE_NATIVE : 0) | (session->flags & SESSION_FORKED ? TRACE_FORKED : 0),
    };
}

/* Sums of a sample can't be weighted any more, but for a rotated trace's: nothing is added up, collector_is_full ends it instead. */
struct trace_rotate collector_bound(const struct session_header *session, const struct output_file *output)
{
    struct trace_rotate rotate = {session->max_trace_bytes, session->rotate_bytes, session->rotate_ns};
    if (!output_file_is_seekable(output))
        rotate.segment_bytes = rotate.segment_ns = 0;
    int is_rotated = rotate.segment_bytes || rotate.segment_ns;
    if (!is_rotated && session->sampling_interval_bytes)
        rotate.max_bytes = 0;
    else if (is_rotated && !rotate.max_bytes)
        rotate.max_bytes = TRACE_ROTATED_BYTES;
    if (rotate.max_bytes && rotate.max_bytes < TRACE_MIN_BOUND_BYTES)
        rotate.max_bytes = TRACE_MIN_BOUND_BYTES;
    return rotate;
}

static int bound_trace(struct collector *collector)
{
    struct trace_rotate rotate = collector_bound(collector->session, &collector->output);
    if (rotate.segment_bytes || rotate.segment_ns)
        return trace_writer_rotate(collector->writer, &collector->identity, &rotate);
    trace_writer_bound(collector->writer, rotate.max_bytes);
    return 0;
}

static int open_trace(struct collector *collector)
{
    const struct session_header *session = collector->session;
    if (session->output_path[0])
        snprintf(collector->base_path, sizeof collector->base_path, "%.*s", SESSION_PATH_BYTES, session->output_path);
    else
        process_default_path(session, &collector->target, collector->base_path, sizeof collector->base_path);
    int status = output_file_create(&collector->output, collector->base_path, session->flags & SESSION_FORCE, &collector->identity);
    if (status != 0)
        return status;
    collector_tell_path(collector); /* at once: should this process be killed, the target has it written there what is missing */
    status = trace_writer_open(collector->output.file, &collector->identity, &collector->writer);
    return status == 0 ? bound_trace(collector) : status;
}

void collector_tell_path(const struct collector *collector)
{
    struct session_header *session = collector->session;
    size_t used = 0, bytes = strlen(collector->output.path);
    if (!output_file_is_seekable(&collector->output))
        return;
    if (collector->output.path[0] != '/' && getcwd(session->trace_path, sizeof session->trace_path - 1))
        used = strlen(strcat(session->trace_path, "/"));
    if (used + bytes < sizeof session->trace_path)
        memcpy(session->trace_path + used, collector->output.path, bytes + 1);
    else
        session->trace_path[0] = 0;
}

void collector_announce(struct collector *collector)
{
    struct session_header *session = collector->session;
    atomic_store(&session->collector_pid, (uint32_t)getpid());
    uint32_t starting = COLLECTOR_STARTING;
    atomic_compare_exchange_strong(&session->collector_state, &starting, COLLECTOR_RUNNING);
    futex_wake(&session->collector_state, 1 << 30);
}

int collector_start(struct collector *collector, struct session_header *session, int session_file, uint64_t session_inode, int memory_file)
{
    *collector = (struct collector){.session = session, .session_file = session_file, .memory_file = memory_file, .output.file = -1, .pause_ns = BUSY_PAUSE_NS};
    target_process_open(&collector->target, (int)session->pid, -1, session_inode);
    collector_identify(collector);
    int status = open_trace(collector);
    if (status == 0)
        status = live_blocks_init(&collector->blocks, collector->writer);
    definition_intake_init(&collector->definitions, collector->writer);
    if (status == 0)
        status = event_stream_init(&collector->stream, session, &collector->blocks, &collector->definitions);
    if (status != 0)
        return status;
    fork_server_init(&collector->forks, session, &collector->target);
    control_server_init(&collector->control, session->pid, session->control_socket, sizeof session->control_socket);
    collector_announce(collector);
    process_properties_put(collector->writer, session, &collector->target);
    collector_begin_spans(collector);
    collector_begin_changes(collector);
    return 0;
}

void collector_give_up(struct session_header *session)
{
    atomic_store(&session->collector_state, COLLECTOR_GONE);
    futex_wake(&session->collector_state, 1 << 30);
    atomic_fetch_add(&session->definition_futex, 1);
    futex_wake(&session->definition_futex, 1 << 30);
    struct session_thread *threads = session_threads(session);
    uint32_t used = atomic_load(&session->thread_slots_used);
    for (uint32_t i = 0; i < used && i < SESSION_MAX_THREADS; i++) {
        atomic_fetch_add(&threads[i].space_futex, 1);
        futex_wake(&threads[i].space_futex, 1);
    }
}

/* ---- one drain ---- */

/* Close the current epoch, so that the next event of any thread claims a new one and reads the clock for it. A parallel epoch stays open
 * while threads record side by side. Returns the order word that holds afterwards. */
static uint64_t close_epoch(struct collector *collector)
{
    _Atomic uint64_t *order_word = &collector->session->order;
    uint64_t order = atomic_load(order_word);
    for (;;) {
        uint32_t owner = ORDER_OWNER(order);
        if (owner == 0 || owner == ORDER_PAUSED || (owner == ORDER_PARALLEL && collector->quiet_parallel_drains < QUIET_PARALLEL_DRAINS))
            return order;
        uint64_t closed = ORDER_WORD(ORDER_EPOCH(order) + 1, 0);
        if (atomic_compare_exchange_strong(order_word, &order, closed)) {
            collector->quiet_parallel_drains = 0;
            return closed;
        }
    }
}

static void count_quiet_drains(struct collector *collector, uint64_t order, uint32_t active_threads)
{
    if (ORDER_OWNER(order) == ORDER_PARALLEL && active_threads <= 1)
        collector->quiet_parallel_drains++;
    else
        collector->quiet_parallel_drains = 0;
}

/* In this order, and nothing between the two: waking a thread may take this one's processor away, and who is killed then must have said how many
 * events the rings are lacking. */
void collector_hand_over(struct collector *collector)
{
    atomic_store(&collector->session->handed_events, trace_writer_totals(collector->writer)->event_count);
    event_stream_publish(&collector->stream);
}

/* Take all events that may be taken now; with `all`, whatever is there. Returns 0: a fork is under way, nothing was taken. */
static int drain(struct collector *collector, int all)
{
    struct event_stream *stream = &collector->stream;
    struct session_header *session = collector->session;
    uint64_t ticks, monotonic_ns;
    uint64_t order = close_epoch(collector);
    tick_clock_read(&ticks, &monotonic_ns);
    tick_clock_update(&stream->clock, ticks, monotonic_ns);
    collector->blocks.swap_ticks = tick_clock_ticks(&stream->clock, SWAP_NS);

    uint32_t active_threads = event_stream_read_cursors(stream);
    if (atomic_load(&session->fork_freeze) != 0 && !all)
        return 0;
    uint64_t definition_head = atomic_load_explicit(&session->definition_head, memory_order_acquire);
    definition_intake_take(&collector->definitions, session, definition_head);

    struct order_key limit = {ORDER_EPOCH(order), ~0ull};
    if (ORDER_OWNER(order) == ORDER_PARALLEL)
        limit.stamp = ticks - collector->blocks.swap_ticks;
    uint64_t events_before = stream->taken_events;
    event_stream_take(stream, all ? ORDER_KEY_LAST : limit);
    collector_hand_over(collector);
    count_quiet_drains(collector, order, active_threads);
    if (event_stream_unfollowed(stream, atomic_load_explicit(&session->sampling_wanted_bytes, memory_order_relaxed)))
        collector->quiet_parallel_drains = QUIET_PARALLEL_DRAINS; /* they look when they claim the next epoch */
    collector->now_ns = monotonic_ns;
    if (stream->taken_events != events_before)
        collector->pause_ns = BUSY_PAUSE_NS;
    else if (collector->pause_ns < IDLE_PAUSE_NS)
        collector->pause_ns = 2 * collector->pause_ns < IDLE_PAUSE_NS ? 2 * collector->pause_ns : IDLE_PAUSE_NS;
    return 1;
}

void collector_catch_up(struct collector *collector)
{
    drain(collector, 0);
}

/* ---- what goes with the events ---- */

/* The time up to which all events have been taken: none that comes is older. */
static void tell_time(struct collector *collector)
{
    uint64_t now_ns = collector->now_ns - collector->session->start_monotonic_ns;
    if (ORDER_OWNER(atomic_load_explicit(&collector->session->order, memory_order_relaxed)) == ORDER_PARALLEL)
        now_ns = now_ns > SWAP_NS ? now_ns - SWAP_NS : 0;
    trace_writer_time(collector->writer, now_ns);
}

/* What the target touched of the shared memory is in its resident set, but not its own doing. */
static uint64_t session_bytes(const struct collector *collector)
{
    struct stat about;
    return fstat(collector->session_file, &about) == 0 ? (uint64_t)about.st_blocks * 512 : 0;
}

static uint64_t sample_own_rss(struct collector *collector)
{
    uint64_t rss_bytes = target_process_rss_bytes(&collector->target), shared_bytes = session_bytes(collector);
    if (rss_bytes > collector->highest_rss_bytes) {
        collector->highest_rss_bytes = rss_bytes;
        collector->shared_at_highest_bytes = shared_bytes;
    }
    return rss_bytes > shared_bytes ? rss_bytes - shared_bytes : 0;
}

/* The kernel knows the true peak, but not how much of it was shared memory, which only grows: as much as at the highest sample. */
static void put_peak_rss(struct collector *collector)
{
    uint64_t rss_bytes = atomic_load(&collector->session->peak_rss_bytes);
    uint64_t shared_bytes = collector->highest_rss_bytes ? collector->shared_at_highest_bytes : session_bytes(collector);
    if (rss_bytes > shared_bytes)
        trace_writer_peak_rss(collector->writer, rss_bytes - shared_bytes);
}

static void sample_rss(struct collector *collector)
{
    uint64_t now_ns = collector->now_ns;
    if (now_ns < collector->next_rss_ns)
        return;
    collector->next_rss_ns = now_ns + (collector->pause_ns == BUSY_PAUSE_NS ? RSS_BUSY_NS : RSS_IDLE_NS);
    uint64_t rss_bytes = sample_own_rss(collector);
    if (rss_bytes == 0 || (rss_bytes == collector->rss_bytes && now_ns < collector->rss_written_ns + RSS_UNCHANGED_NS))
        return;
    collector->rss_bytes = rss_bytes;
    collector->rss_written_ns = now_ns;
    tell_time(collector);
    trace_writer_rss(collector->writer, rss_bytes);
}

uint64_t collector_lost_events(const struct collector *collector)
{
    struct session_header *session = collector->session;
    const struct session_thread *threads = session_threads(session);
    uint64_t lost = atomic_load_explicit(&session->lost_events, memory_order_relaxed);
    for (uint32_t i = 0; i < collector->stream.thread_count; i++)
        lost += atomic_load_explicit(&threads[i].lost_events, memory_order_relaxed);
    return lost;
}

static void put_counters(struct collector *collector)
{
    struct session_header *session = collector->session;
    const struct session_thread *threads = session_threads(session);
    uint64_t copies = 0, copied_bytes = 0;
    for (uint32_t i = 0; i < collector->stream.thread_count; i++) {
        copies += atomic_load_explicit(&threads[i].small_copies, memory_order_relaxed);
        copied_bytes += atomic_load_explicit(&threads[i].small_copied_bytes, memory_order_relaxed);
    }
    trace_writer_lost(collector->writer, collector_lost_events(collector));
    uint32_t dropped = atomic_load_explicit(&session->unrecorded_dropped, memory_order_relaxed);
    if (dropped != collector->unrecorded_written)
        process_property_put_number(collector->writer, "unrecorded_children", collector->unrecorded_written = dropped);
    /* The hooks count small copies in any case. */
    if (session->flags & SESSION_COPIES)
        trace_writer_small_copies(collector->writer, copies, copied_bytes);
}

/* What the target finds out as it runs. */
static void put_findings(struct collector *collector)
{
    const struct session_header *session = collector->session;
    uint32_t python = session->python_version << 8 | session->python_flags;
    if (python != collector->python_written) {
        char text[16];
        collector->python_written = python;
        snprintf(text, sizeof text, "%u.%u%s", session->python_version >> 8, session->python_version & 0xff,
                 session->python_flags & PYTHON_FREE_THREADED ? "t" : "");
        process_property_put(collector->writer, "python", text);
        process_property_put(collector->writer, "python_stacks", session->python_flags & PYTHON_STACKS_OFF ? "off" : "on");
    }
    if (session->warnings & ~collector->warnings_written & WARNING_MALLOC_NOT_OURS)
        process_property_put(collector->writer, "malloc", "of another library");
    collector->warnings_written = session->warnings;
}

/* What the trace has no room for, the target need not remember. */
static void tell_closed(struct collector *collector)
{
    if (trace_writer_definitions_closed(collector->writer))
        atomic_store_explicit(&collector->session->definitions_closed, 1, memory_order_relaxed);
}

static void read_thread_names(struct collector *collector)
{
    const struct session_thread *threads = session_threads(collector->session);
    collector->definitions.nameless_threads = 0;
    for (uint32_t i = 0; i < collector->stream.thread_count; i++) {
        char file[48], name[64];
        uint32_t generation = atomic_load(&threads[i].generation);
        snprintf(file, sizeof file, "task/%u/comm", atomic_load(&threads[i].thread_id));
        long bytes = target_process_read(&collector->target, file, name, sizeof name);
        if (bytes > 0 && generation == atomic_load(&threads[i].generation))
            definition_intake_rename(&collector->definitions, i, generation, name, (uint32_t)strcspn(name, "\n"));
    }
}

static void flush(struct collector *collector)
{
    uint64_t events = trace_writer_totals(collector->writer)->event_count;
    if (events == collector->flushed_events && collector->now_ns < collector->next_flush_ns)
        return;
    collector->flushed_events = events;
    collector->next_flush_ns = collector->now_ns + FLUSH_IDLE_NS;
    trace_writer_flush(collector->writer);
}

void collector_write_out(struct collector *collector)
{
    put_counters(collector);
    put_findings(collector);
    read_thread_names(collector);
    tell_time(collector);
    collector->next_flush_ns = 0;
    flush(collector);
}

/* Once a second: what a reader of the file so far should know, and memory that isn't needed any more. */
static void keep_house(struct collector *collector)
{
    if (collector->now_ns < collector->next_housekeeping_ns)
        return;
    collector->next_housekeeping_ns = collector->now_ns + HOUSEKEEPING_NS;
    collector_refuse_late_letters(collector);
    tell_closed(collector);
    collector_name_unrecorded(collector, 0);
    put_counters(collector);
    put_findings(collector);
    read_thread_names(collector);
    address_table_trim(&collector->blocks.addresses);
    flush(collector);
}

/* ---- the end ---- */

static int is_execed(struct collector *collector)
{
    int pending = atomic_load(&collector->session->exit_kind) == EXIT_EXEC;
    if (!pending && collector->now_ns < collector->next_exec_check_ns)
        return 0;
    collector->next_exec_check_ns = collector->now_ns + EXEC_CHECK_NS;
    return target_process_has_execed(&collector->target);
}

/* The first process of a PID namespace waits in its exit until its trace is whole: we end with it. */
static int is_last_word(const struct collector *collector)
{
    return collector->session->pid == 1 && atomic_load(&collector->session->exit_kind) == EXIT_CALLED;
}

static void describe_exit(struct collector *collector, struct trace_end *end)
{
    struct session_header *session = collector->session;
    int status;
    if (target_process_status(&collector->target, &status)) {
        end->reason = WIFSIGNALED(status) ? TRACE_END_SIGNAL : TRACE_END_EXIT;
        end->status = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    } else if (atomic_load(&session->exit_kind) == EXIT_CALLED) {
        end->reason = TRACE_END_EXIT;
        end->status = atomic_load(&session->exit_status);
    }
}

void collector_finish(struct collector *collector, enum trace_end_reason reason)
{
    struct session_header *session = collector->session;
    struct trace_end end = {.reason = reason};
    uint64_t lost_definitions = atomic_load(&session->lost_definitions) + collector->definitions.refused;
    uint64_t unsafe_stacks = atomic_load(&session->unsafe_stacks);
    drain(collector, 1);
    collector_name_unrecorded(collector, reason == TRACE_END_EXEC);
    put_peak_rss(collector);
    put_counters(collector);
    put_findings(collector);
    if (lost_definitions)
        process_property_put_number(collector->writer, "lost_definitions", lost_definitions);
    if (unsafe_stacks)
        process_property_put_number(collector->writer, "unsafe_stacks", unsafe_stacks);
    if (session->native_check_interval) {
        process_property_put_number(collector->writer, "native_checks", atomic_load(&session->native_checks));
        process_property_put_number(collector->writer, "native_differences", atomic_load(&session->native_differences));
    }
    if (reason == TRACE_END_UNKNOWN)
        describe_exit(collector, &end);
    tell_time(collector);
    end.time_ns = collector->now_ns - session->start_monotonic_ns;
    trace_writer_close(collector->writer, &end);
    output_file_close(&collector->output);
}

/* ---- the loop ---- */

static void sleep_until_woken(struct collector *collector, uint32_t seen_wake)
{
    if (collector_is_detached(collector)) {
        control_server_wait(&collector->control, collector->target.pidfd, DETACHED_PAUSE_MS);
        return;
    }
    /* Once it has said goodbye the target raises nothing: watch itself. */
    if (atomic_load(&collector->session->exit_kind) != EXIT_NONE)
        target_process_wait(&collector->target, (int)(collector->pause_ns / MS));
    else
        futex_wait(&collector->session->collector_wake, seen_wake, collector->pause_ns);
}

void collector_run(struct collector *collector)
{
    for (;;) {
        uint32_t seen_wake = atomic_load(&collector->session->collector_wake);
        int gone = target_process_wait(&collector->target, 0);
        if (!drain(collector, 0) && !collector_serve_forks(collector))
            continue;
        if (!collector_is_detached(collector)) {
            sample_rss(collector);
            if (collector->definitions.nameless_threads)
                read_thread_names(collector);
            keep_house(collector);
        }
        if (is_last_word(collector)) {
            collector_pause(collector->session);
            collector_finish(collector, TRACE_END_UNKNOWN);
            collector_give_up(collector->session);
            return;
        }
        if (gone) {
            /* It may have run another program, and ended, since the last look. */
            collector_finish(collector, atomic_load(&collector->session->exit_kind) == EXIT_EXEC ? TRACE_END_EXEC : TRACE_END_UNKNOWN);
            return;
        }
        if (is_execed(collector)) {
            collector_finish(collector, TRACE_END_EXEC);
            return;
        }
        if (!collector_is_detached(collector) && collector_is_full(collector)) {
            collector_stop(collector, "the trace reached its size limit");
            collector_finish(collector, TRACE_END_STOPPED);
            collector_give_up(collector->session);
            return;
        }
        collector_serve_control(collector);
        collector_serve_objects(collector);
        sleep_until_woken(collector, seen_wake);
    }
}
