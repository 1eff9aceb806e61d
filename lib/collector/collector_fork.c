/* Forks of the target: the part of collector.h that clones the collector for a child.
 *
 * While fork_freeze is raised no event is taken, until the child's letter tells where every thread stood at the fork. Drained exactly up to
 * there, the collector forks as well: what its copy holds is what the child has inherited. The copy goes on as the child's collector. It
 * waits with the child's trace until there is something to write, because most children exec at once and want none. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "collector.h"
#include "futex.h"
#include "process_properties.h"
#include "slot_table.h"

#define MS 1000000ull
#define LETTER_STEP_MS 5
#define EXEC_STEP_MS 1
/* How long a child may stay without a trace of its own, and how much longer when it has announced an exec. */
#define UNDECIDED_NS (200 * MS)
#define EXEC_PENDING_NS (2000 * MS)

/* ---- the clone ---- */

/* The parent's trace, writer and connections are not ours. The writer stays for now: its state is what the child's trace begins with. */
static void leave_parent(struct collector *collector)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Whatever the writer still has to write goes there when it is closed. */
    if (null < 0 || dup2(null, collector->output.file) < 0)
        _exit(1);
    close(null);
    fork_server_done(&collector->forks);
    control_server_done(&collector->control);
    target_process_close(&collector->target);
    session_unmap(collector->session);
    close(collector->session_file);
    if (collector->memory_file >= 0)
        close(collector->memory_file);
}

static void enter_child(struct collector *collector, struct session_header *session, struct fork_letter *letter)
{
    struct stat about;
    collector->session = session;
    collector->session_file = fcntl(letter->memfd, F_DUPFD_CLOEXEC, 3);
    collector->memory_file = letter->memory_file;
    letter->memory_file = -1; /* ours now */
    target_process_open(&collector->target, letter->child_pid, letter->child_pidfd, fstat(letter->memfd, &about) == 0 ? about.st_ino : 0);
    letter->child_pidfd = -1; /* the target's now */
    collector_identify(collector);
    event_stream_move(&collector->stream, session);
    fork_server_init(&collector->forks, session, &collector->target);
    control_server_init(&collector->control, session->pid, session->control_socket, sizeof session->control_socket);
    object_intake_done(&collector->objects);
    collector->objects.state = INTAKE_NONE; /* what was asked for is the parent's */
    collector->now_ns = clock_ns(CLOCK_MONOTONIC);
    collector->rss_bytes = collector->highest_rss_bytes = 0;
    collector->next_rss_ns = collector->next_housekeeping_ns = collector->next_exec_check_ns = collector->next_flush_ns = 0;
    collector->quiet_parallel_drains = collector->unrecorded_written = 0;
    if (atomic_load(&session->recording)) /* the fork came while the parent's calls were being led */
        collector_lead_slots(collector, SLOTS_LEAD_TO_HOOKS);
    collector_announce(collector);
}

/* Returns 1 as soon as the child's events have to be written, 0: it runs another program already, and nothing was written. */
static int child_wants_trace(struct collector *collector)
{
    struct session_header *session = collector->session;
    uint32_t first_wake = atomic_load(&session->collector_wake);
    uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    for (;;) {
        uint32_t wake = atomic_load(&session->collector_wake);
        int exec_pending = atomic_load(&session->exit_kind) == EXIT_EXEC;
        uint64_t waited_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
        if (target_process_has_execed(&collector->target))
            return 0;
        /* Gone: with the other program, unless its exec has failed. */
        if (target_process_wait(&collector->target, exec_pending ? EXEC_STEP_MS : 0))
            return atomic_load(&session->exit_kind) != EXIT_EXEC;
        if (waited_ns >= UNDECIDED_NS + EXEC_PENDING_NS)
            return 1;
        if (exec_pending)
            continue;
        if (waited_ns >= UNDECIDED_NS || wake != first_wake || atomic_load(&session->fork_freeze))
            return 1;
        futex_wait(&session->collector_wake, wake, 10 * MS);
    }
}

static int open_child_trace(struct collector *collector)
{
    struct trace_writer *parent_writer = collector->writer;
    int parent_file = collector->output.file;
    uint32_t *slot_map;
    int force = (collector->session->flags & SESSION_FORCE) != 0;
    int status = output_file_create(&collector->output, collector->base_path, force, &collector->identity);
    if (status != 0)
        return status;
    collector_tell_path(collector);
    const struct sampling_intervals *intervals = &collector->blocks.intervals;
    status = trace_writer_fork(parent_writer, collector->output.file, &collector->identity,
                               &(struct trace_slot_intervals){intervals->ids, intervals->capacity, intervals->bytes}, &collector->writer, &slot_map);
    if (status != 0)
        return status;
    live_blocks_move(&collector->blocks, collector->writer, slot_map);
    definition_intake_move(&collector->definitions, collector->writer);
    free(slot_map);
    trace_writer_close(parent_writer, NULL);
    close(parent_file);
    collector->python_written = collector->warnings_written = 0;
    process_properties_put(collector->writer, collector->session, &collector->target);
    collector_begin_spans(collector);
    collector_begin_changes(collector);
    return 0;
}

static _Noreturn void run_clone(struct collector *collector, struct session_header *session, struct fork_letter *letter)
{
    leave_parent(collector);
    enter_child(collector, session, letter);
    fork_letter_free(letter);
    if (child_wants_trace(collector)) {
        if (open_child_trace(collector) == 0)
            collector_run(collector);
        else
            collector_give_up(session);
    } else {
        collector_name_unrecorded(collector, 1);
    }
    _exit(0);
}

/* ---- the parent's side ---- */

static void serve(struct collector *collector, struct fork_letter *letter)
{
    struct event_stream *stream = &collector->stream;
    event_stream_set_cursors(stream, letter->cursors, letter->message.thread_count);
    definition_intake_take(&collector->definitions, collector->session, letter->message.definition_head);
    event_stream_take(stream, ORDER_KEY_LAST);
    collector_hand_over(collector);

    struct session_header *child = session_map(letter->memfd);
    pid_t clone = child ? fork() : -1;
    if (clone == 0)
        run_clone(collector, child, letter);
    if (child && clone < 0)
        collector_give_up(child);
    if (child)
        session_unmap(child);
}

static void reject(struct fork_letter *letter)
{
    struct session_header *child = session_map(letter->memfd);
    if (child) {
        collector_give_up(child);
        session_unmap(child);
    }
}

/* Whoever hasn't written by now died before it could. */
static void give_letters_up(struct collector *collector, uint32_t missing)
{
    struct fork_server *server = &collector->forks;
    atomic_fetch_sub(&collector->session->fork_freeze, missing);
    server->waiting_since_ns = 0;
    if (server->letter_count == 0)
        server->next_sequence = server->waiting_sequence + 1;
}

static int is_overdue(struct collector *collector)
{
    struct fork_server *server = &collector->forks;
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (server->waiting_since_ns == 0) {
        server->waiting_since_ns = now_ns;
        server->waiting_sequence = atomic_load(&collector->session->fork_sequence);
    }
    return now_ns - server->waiting_since_ns >= FORK_WAIT_NS;
}

void collector_refuse_late_letters(struct collector *collector)
{
    struct fork_server *server = &collector->forks;
    fork_server_receive(server, 0);
    while (server->letter_count && atomic_load(&collector->session->fork_freeze) == 0) {
        struct fork_letter *letter = fork_server_take(server);
        reject(letter);
        fork_letter_free(letter);
    }
}

int collector_serve_forks(struct collector *collector)
{
    struct fork_server *server = &collector->forks;
    fork_server_receive(server, server->letter_count ? 0 : LETTER_STEP_MS);
    uint32_t begun = atomic_load(&collector->session->fork_freeze);
    if (begun == 0)
        return 1;
    /* An earlier fork's letter may still be on its way, unless all that are due have arrived. */
    if (server->letter_count < begun && !(server->letter_count && server->letters[0]->message.sequence == server->next_sequence)) {
        if (is_overdue(collector))
            give_letters_up(collector, begun - server->letter_count);
        else if (server->letter_count)
            fork_server_receive(server, LETTER_STEP_MS);
        return 0;
    }
    struct fork_letter *letter = fork_server_take(server);
    server->waiting_since_ns = 0;
    if ((int32_t)(letter->message.sequence - server->next_sequence) < 0) {
        reject(letter);
    } else {
        server->next_sequence = letter->message.sequence + 1;
        serve(collector, letter);
        atomic_fetch_sub(&collector->session->fork_freeze, 1);
    }
    fork_letter_free(letter);
    return atomic_load(&collector->session->fork_freeze) == 0;
}
