/* Recordings of a process that was attached to: the part of collector.h that ends one, sleeps, and begins the next.
 *
 * What the target's numbers mean (stacks, code objects, modules, threads) it says once. So the collector stays between two recordings, asleep
 * and with little memory, and the next trace begins with all that was defined. While detached it has a writer whose file is /dev/null: what
 * threads that were late still write goes there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "collector.h"
#include "process_properties.h"
#include "trace_writer.h"

int collector_is_detached(const struct collector *collector)
{
    return atomic_load_explicit(&collector->session->detached, memory_order_relaxed) != 0;
}

static enum control_result refuse(struct control_answer *answer, const char *text)
{
    snprintf(answer->text, sizeof answer->text, "%s", text);
    return CONTROL_REFUSED;
}

/* ---- detach ---- */

/* In a copy of the collector, which holds all that the trace's end is made from. */
static _Noreturn void run_ending(struct collector *collector, struct control_answer *answer)
{
    fork_server_done(&collector->forks);
    control_server_stop_listening(&collector->control);
    collector_finish(collector, TRACE_END_STOPPED);
    answer->result = CONTROL_DONE;
    control_server_answer(&collector->control, answer);
    _exit(0);
}

/* Returns the file that takes the trace's place here, -1 with errno: nothing has changed. */
static int end_trace(struct collector *collector, struct control_answer *answer)
{
    struct session_header *session = collector->session;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -1;
    atomic_store(&session->detached, 1);
    collector_pause(session);
    pid_t ending = fork();
    if (ending == 0)
        run_ending(collector, answer);
    if (ending > 0)
        return null;
    int saved_errno = errno;
    atomic_store(&session->detached, 0);
    collector_resume(session);
    close(null);
    errno = saved_errno;
    return -1;
}

void collector_detach(struct collector *collector, struct control_answer *answer)
{
    int is_attached = (collector->session->flags & SESSION_ATTACHED) != 0;
    int null = is_attached ? end_trace(collector, answer) : -1;
    if (null < 0) {
        answer->result = refuse(answer, is_attached ? strerror(errno) : "it was started with the recorder; 'heapline stop' ends the recording");
        control_server_answer(&collector->control, answer);
        return;
    }
    control_server_hang_up(&collector->control);
    close(collector->output.file);
    collector->output.file = null;
    collector->output.path[0] = collector->session->trace_path[0] = '\0';
    /* The next recording's, before the target's threads are told to begin. */
    atomic_store(&collector->session->sampling_wanted_bytes, collector->session->sampling_interval_bytes);
    trace_writer_redirect(collector->writer, null);
    event_stream_forget(&collector->stream);
}

/* ---- attach again ---- */

/* Of a trace, not of how is recorded: each has its own. */
#define BOUND_WORD "max-trace-size="
#define ROTATE_WORD "rotate="

/* The next of the comma's words that says how to record, not where to; NULL: there is none. */
static const char *next_word(const char **at, size_t *ret_bytes)
{
    while (**at) {
        const char *word = *at;
        size_t bytes = strcspn(word, ",");
        *at = word + bytes + (word[bytes] == ',');
        if (bytes && strncmp(word, BOUND_WORD, sizeof BOUND_WORD - 1) != 0 && strncmp(word, ROTATE_WORD, sizeof ROTATE_WORD - 1) != 0) {
            *ret_bytes = bytes;
            return word;
        }
    }
    return NULL;
}

static int records_alike(const char *left, const char *right)
{
    for (;;) {
        size_t left_bytes = 0, right_bytes = 0;
        const char *a = next_word(&left, &left_bytes), *b = next_word(&right, &right_bytes);
        if (!a || !b)
            return !a && !b;
        if (left_bytes != right_bytes || memcmp(a, b, left_bytes) != 0)
            return 0;
    }
}

/* What follows this word of the options, "0" if it isn't there; the number there. */
static const char *value_of(const char *options, const char *word, unsigned long long *ret_number)
{
    const char *found = strstr(options, word), *value = found ? found + strlen(word) : "0";
    *ret_number = 0;
    sscanf(value, "%llu", ret_number);
    return value;
}

/* The trace's bound, and its segments, in bytes or ms, as `heapline attach` gives them. */
static void bound_session(struct session_header *session, const char *options)
{
    unsigned long long max_bytes, segment;
    value_of(options, BOUND_WORD, &max_bytes);
    const char *value = value_of(options, ROTATE_WORD, &segment);
    int is_time = !strncmp(value + strspn(value, "0123456789"), "ms", 2);
    session->max_trace_bytes = max_bytes;
    session->rotate_bytes = is_time ? 0 : segment;
    session->rotate_ns = is_time ? segment * 1000000 : 0;
}

/* All that counts from a recording's beginning. Nobody records now. */
static void begin_session(struct collector *collector, const char *options)
{
    struct session_header *session = collector->session;
    struct session_thread *threads = session_threads(session);
    session->start_ticks = clock_ticks();
    session->start_monotonic_ns = clock_ns(CLOCK_MONOTONIC);
    session->start_realtime_ns = clock_ns(CLOCK_REALTIME);
    bound_session(session, options);
    if (getrandom(&session->session_id, sizeof session->session_id, 0) != sizeof session->session_id || !session->session_id)
        session->session_id = session->start_ticks | 1;
    for (uint32_t i = 0; i < collector->stream.thread_count; i++) {
        atomic_store(&threads[i].lost_events, 0);
        atomic_store(&threads[i].small_copies, 0);
        atomic_store(&threads[i].small_copied_bytes, 0);
    }
    atomic_store(&session->lost_events, 0);
    atomic_store(&session->definitions_closed, 0);
    collector->rss_bytes = collector->highest_rss_bytes = collector->shared_at_highest_bytes = 0;
    collector->next_rss_ns = collector->rss_written_ns = collector->next_housekeeping_ns = collector->next_flush_ns = 0;
    collector->flushed_events = 0;
    collector->python_written = collector->warnings_written = collector->unrecorded_written = 0;
    collector->quiet_parallel_drains = 0;
}

/* Returns 0 or an error of status.h. */
static int open_next_trace(struct collector *collector, const char *path)
{
    struct output_file output = {.file = -1};
    struct trace_writer *next;
    collector_identify(collector);
    int status = output_file_create(&output, path, 0, &collector->identity);
    if (status)
        return status;
    struct trace_rotate rotate = collector_bound(collector->session, &output);
    status = trace_writer_continue(collector->writer, output.file, &collector->identity, &rotate, &next);
    if (status) {
        unlink(output.path);
        output_file_close(&output);
        return status;
    }
    trace_writer_close(collector->writer, NULL);
    close(collector->output.file);
    collector->output = output;
    snprintf(collector->base_path, sizeof collector->base_path, "%s", path);
    collector->writer = collector->blocks.writer = next;
    collector->blocks.unknown_frees = 0;
    collector->blocks.overtaken_count = 0;
    definition_intake_continue(&collector->definitions, next);
    return 0;
}

enum control_result collector_attach(struct collector *collector, const char *argument, struct control_answer *answer)
{
    struct session_header *session = collector->session;
    const char *line_break = strchr(argument, '\n');
    char options[CONTROL_ARGUMENT_BYTES];
    if (!collector_is_detached(collector))
        return CONTROL_ALREADY;
    if (!line_break)
        return CONTROL_UNKNOWN;
    snprintf(options, sizeof options, "%.*s", (int)(line_break - argument), argument);
    if (!records_alike(options, session->options)) {
        snprintf(answer->text, sizeof answer->text, "it was attached to before, with other options (%.800s), which stay for its life",
                 session->options);
        return CONTROL_REFUSED;
    }
    event_stream_forget(&collector->stream);
    begin_session(collector, options);
    if (open_next_trace(collector, line_break + 1) != 0)
        return refuse(answer, strerror(errno));
    event_stream_restart_clock(&collector->stream);
    collector_tell_path(collector);
    process_properties_put(collector->writer, session, &collector->target);
    collector_resume(session);
    collector_begin_spans(collector);
    collector_begin_changes(collector);
    atomic_store(&session->detached, 0);
    snprintf(answer->trace_path, sizeof answer->trace_path, "%s", collector->output.path);
    return CONTROL_DONE;
}
