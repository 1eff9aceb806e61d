/* Starting and stopping on request: the part of collector.h that serves commands while the target runs.
 *
 * The target has no thread that could be told: the order word says PAUSED, and each of its threads notices at its next event; where none
 * comes to our hooks, their calls are led there (collector_slots.c). When recording
 * starts again after a stop, what was live at the stop is forgotten: nobody knows what has become of it. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "collector.h"
#include "process_properties.h"
#include "slot_table.h"
#include "trace_writer.h"

static uint64_t time_now_ns(const struct collector *collector)
{
    return clock_ns(CLOCK_MONOTONIC) - collector->session->start_monotonic_ns;
}

/* "from-to from-to from-" in ns since the trace's start, "none" where nothing was ever recorded. */
static void put_spans(struct collector *collector)
{
    char text[COLLECTOR_MAX_SPANS * 44] = "none";
    int used = 0;
    for (uint32_t i = 0; i < collector->span_count; i++) {
        const struct recorded_span *span = &collector->spans[i];
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%llu-", i ? " " : "", (unsigned long long)span->start_ns);
        if (span->end_ns)
            used += snprintf(text + used, sizeof text - (size_t)used, "%llu", (unsigned long long)span->end_ns);
    }
    process_property_put(collector->writer, "recorded", text);
}

static int is_recording(const struct collector *collector)
{
    return atomic_load(&collector->session->recording) != 0;
}

void collector_begin_spans(struct collector *collector)
{
    /* A clone's trace begins with all that the parent's says. */
    int is_told = collector->span_count > 1 || collector->spans[0].start_ns || collector->spans[0].end_ns;
    collector->span_count = is_recording(collector);
    collector->spans[0] = (struct recorded_span){0, 0};
    if (is_told || !is_recording(collector))
        put_spans(collector);
}

static enum control_result start(struct collector *collector, struct control_answer *answer)
{
    struct session_header *session = collector->session;
    if (is_recording(collector))
        return CONTROL_ALREADY;
    /* First, while it is paused: from the moment when it no longer is, none of its calls passes unseen. */
    if (!collector_lead_slots(collector, SLOTS_LEAD_TO_HOOKS)) {
        snprintf(answer->text, sizeof answer->text, "its calls can't be led to the recorder: its memory can't be reached");
        return CONTROL_REFUSED;
    }
    event_stream_forget(&collector->stream);
    /* Too many to name them all: the last one that is named covers the rest. */
    if (collector->span_count < COLLECTOR_MAX_SPANS)
        collector->spans[collector->span_count++].start_ns = time_now_ns(collector);
    collector->spans[collector->span_count - 1].end_ns = 0;
    put_spans(collector);
    collector_resume(session);
    return CONTROL_DONE;
}

void collector_resume(struct session_header *session)
{
    atomic_store(&session->recording, 1);
    uint64_t order = atomic_load(&session->order);
    while (!atomic_compare_exchange_weak(&session->order, &order, ORDER_WORD(ORDER_EPOCH(order) + 1, 0)))
        ;
}

void collector_pause(struct session_header *session)
{
    atomic_store(&session->recording, 0);
    uint64_t order = atomic_load(&session->order);
    while (ORDER_OWNER(order) != ORDER_PAUSED &&
           !atomic_compare_exchange_weak(&session->order, &order, ORDER_WORD(ORDER_EPOCH(order) + 1, ORDER_PAUSED)))
        ;
}

static enum control_result stop(struct collector *collector)
{
    if (!is_recording(collector))
        return CONTROL_ALREADY;
    collector_pause(collector->session);
    collector_lead_slots(collector, SLOTS_LEAD_PAST);
    collector->spans[collector->span_count - 1].end_ns = time_now_ns(collector);
    put_spans(collector);
    collector->next_housekeeping_ns = 0; /* whoever reads the trace now finds all of it */
    return CONTROL_DONE;
}

/* ---- another sampling interval ---- */

/* "time:bytes time:bytes", in ns since the trace's start. */
static void put_changes(struct collector *collector)
{
    char text[COLLECTOR_MAX_SPANS * 44] = "";
    int used = 0;
    for (uint32_t i = 0; i < collector->change_count; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%llu:%llu", i ? " " : "",
                         (unsigned long long)collector->changes[i].time_ns, (unsigned long long)collector->changes[i].interval_bytes);
    process_property_put(collector->writer, "sampling_changes", text);
}

/* The first is what the session began with. Too many to name them all: the last one that is named is the latest. */
static void add_change(struct collector *collector, uint64_t time_ns, uint64_t interval_bytes)
{
    if (collector->change_count == 0)
        collector->changes[collector->change_count++] = (struct sampling_change){0, collector->session->sampling_interval_bytes};
    if (collector->change_count == COLLECTOR_MAX_SPANS)
        collector->change_count--;
    collector->changes[collector->change_count++] = (struct sampling_change){time_ns, interval_bytes};
    collector->blocks.unknown_is_usual = 1; /* from now on: a thread that follows late sees the frees that another one has asked for */
    put_changes(collector);
}

void collector_begin_changes(struct collector *collector)
{
    uint64_t wanted_bytes = atomic_load(&collector->session->sampling_wanted_bytes);
    collector->change_count = 0;
    if (wanted_bytes != collector->session->sampling_interval_bytes)
        add_change(collector, 0, wanted_bytes);
}

/* Why the interval can't be changed; NULL: it can. */
static const char *objection(struct collector *collector, uint64_t interval_bytes)
{
    const struct session_header *session = collector->session;
    int was_exact = !session->sampling_interval_bytes;
    if (trace_writer_adds_up(collector->writer))
        return "its trace has reached its bound and adds events up, and sums of a sample could not be weighted: start it with --rotate as well";
    if (was_exact && session->python_flags & PYTHON_FREE_THREADED)
        return "it runs a free-threaded Python, whose allocators can't be exchanged under way: start it with --sample";
    if (!output_file_is_seekable(&collector->output))
        return "its trace goes to something that is no file, whose beginning can't be changed";
    if (sampling_intervals_find(&collector->blocks.intervals, interval_bytes) < 0)
        return "it had 256 different intervals, which is all that can be told apart";
    return NULL;
}

/* Threads look when they claim an epoch: whoever owns this one claims anew. */
static void close_epoch(struct session_header *session)
{
    uint64_t order = atomic_load(&session->order);
    while (ORDER_OWNER(order) != ORDER_PAUSED &&
           !atomic_compare_exchange_weak(&session->order, &order, ORDER_WORD(ORDER_EPOCH(order) + 1, 0)))
        ;
}

static enum control_result change_sampling(struct collector *collector, const char *argument, struct control_answer *answer)
{
    struct session_header *session = collector->session;
    unsigned long long interval_bytes;
    int end = 0;
    if (sscanf(argument, "%llu%n", &interval_bytes, &end) != 1 || argument[end] || interval_bytes >= 1ull << 56)
        return CONTROL_UNKNOWN;
    if (atomic_load(&session->sampling_wanted_bytes) == interval_bytes)
        return CONTROL_ALREADY;
    const char *problem = objection(collector, interval_bytes);
    if (problem) {
        snprintf(answer->text, sizeof answer->text, "%s", problem);
        return CONTROL_REFUSED;
    }
    atomic_store(&session->sampling_wanted_bytes, interval_bytes);
    if (!trace_writer_is_rotated(collector->writer))
        trace_writer_bound(collector->writer, 0); /* collector_is_full sees to it */
    close_epoch(session);
    add_change(collector, time_now_ns(collector), interval_bytes);
    return CONTROL_DONE;
}

int collector_is_full(const struct collector *collector)
{
    const struct session_header *session = collector->session;
    return session->max_trace_bytes && !trace_writer_bound_bytes(collector->writer) &&
           trace_writer_file_bytes(collector->writer) >= session->max_trace_bytes;
}

void collector_stop(struct collector *collector, const char *reason)
{
    collector_pause(collector->session);
    collector_lead_slots(collector, SLOTS_LEAD_PAST);
    process_property_put(collector->writer, "stopped", reason);
}

static enum control_result write_out(struct collector *collector, struct control_answer *answer)
{
    collector_write_out(collector);
    int error = trace_writer_failed(collector->writer);
    answer->trace_bytes = trace_writer_file_bytes(collector->writer);
    if (!error)
        return CONTROL_DONE;
    snprintf(answer->text, sizeof answer->text, "the trace could not be written: %s", strerror(error));
    return CONTROL_REFUSED;
}

static enum control_result tell_status(struct collector *collector, struct control_answer *answer)
{
    const struct trace_totals *totals = trace_writer_totals(collector->writer);
    answer->trace_bytes = trace_writer_file_bytes(collector->writer);
    snprintf(answer->text, sizeof answer->text,
             "recording=%d\nsampling_interval_bytes=%llu\nmax_trace_bytes=%llu\nduration_ns=%llu\nevents=%llu\nlive_bytes=%llu\n"
             "peak_bytes=%llu\nrss_bytes=%llu\nlost_events=%llu\ntrace_error=%d\nattached=%d\ndetached=%d\n",
             is_recording(collector), (unsigned long long)atomic_load(&collector->session->sampling_wanted_bytes),
             (unsigned long long)collector->session->max_trace_bytes, (unsigned long long)time_now_ns(collector),
             (unsigned long long)totals->event_count, (unsigned long long)totals->live_bytes, (unsigned long long)totals->peak_bytes,
             (unsigned long long)collector->rss_bytes, (unsigned long long)collector_lost_events(collector),
             trace_writer_failed(collector->writer), (collector->session->flags & SESSION_ATTACHED) != 0, collector_is_detached(collector));
    return CONTROL_DONE;
}

/* ---- the survey of objects ---- */

static enum control_result serve_objects(struct collector *collector, const char *argument, struct control_answer *answer)
{
    struct object_intake *objects = &collector->objects;
    const char *wishes = strchr(argument, '\n');
    if (!strncmp(argument, "begin", 5) &&
        !object_intake_begin(objects, collector->session, &collector->blocks, wishes ? wishes + 1 : "", collector->now_ns)) {
        snprintf(answer->text, sizeof answer->text, "%s", objects->reason);
        return CONTROL_REFUSED;
    }
    if (!strncmp(argument, "cancel", 6))
        object_intake_withdraw(objects, collector->session, "it was taken back");
    object_intake_tell(objects, answer->text, sizeof answer->text);
    return CONTROL_DONE;
}

void collector_serve_objects(struct collector *collector)
{
    if (!object_intake_is_at_work(&collector->objects))
        return;
    collector->pause_ns = 1000000; /* somebody waits for it */
    collector->quiet_parallel_drains = UINT32_MAX / 2; /* close the epoch: threads look when they claim the next one */
    if (object_intake_step(&collector->objects, collector->session, &collector->blocks, collector->now_ns))
        collector_write_out(collector);
}

void collector_serve_control(struct collector *collector)
{
    const char *argument;
    enum control_verb verb = control_server_next(&collector->control, collector->now_ns, &argument);
    if (!verb)
        return;
    collector_catch_up(collector); /* "until now" is when the request came, which may have been during the drain before */
    struct control_answer answer = {.magic = CONTROL_MAGIC, .pid = collector->session->pid};
    snprintf(answer.trace_path, sizeof answer.trace_path, "%s", collector->output.path);
    if (collector_is_detached(collector) && verb != CONTROL_ATTACH && verb != CONTROL_STATUS) {
        answer.result = CONTROL_REFUSED;
        snprintf(answer.text, sizeof answer.text, "it was detached from; 'heapline attach %u' records it again", answer.pid);
        control_server_answer(&collector->control, &answer);
        return;
    }
    switch (verb) {
    case CONTROL_START:
        answer.result = start(collector, &answer);
        break;
    case CONTROL_STOP:
        answer.result = stop(collector);
        break;
    case CONTROL_FLUSH:
        answer.result = write_out(collector, &answer);
        break;
    case CONTROL_STATUS:
        answer.result = tell_status(collector, &answer);
        break;
    case CONTROL_OBJECTS:
        answer.result = serve_objects(collector, argument, &answer);
        break;
    case CONTROL_SNAPSHOT:
        collector_snapshot(collector, &answer);
        return; /* it answers */
    case CONTROL_DETACH:
        collector_detach(collector, &answer);
        return; /* it answers */
    case CONTROL_SAMPLE:
        answer.result = change_sampling(collector, argument, &answer);
        if (answer.result == CONTROL_DONE || answer.result == CONTROL_ALREADY)
            tell_status(collector, &answer);
        break;
    case CONTROL_ATTACH:
        answer.result = collector_attach(collector, argument, &answer);
        break;
    default:
        answer.result = CONTROL_UNKNOWN;
    }
    control_server_answer(&collector->control, &answer);
}
