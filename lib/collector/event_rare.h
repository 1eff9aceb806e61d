/* The events of a stream (event_stream.h) that are not the usual ones, and what threads say between events. Out of line, so that the usual ones stay
 * close together. Of the collector's only thread. */
#ifndef HEAPLINE_COLLECTOR_EVENT_RARE_H
#define HEAPLINE_COLLECTOR_EVENT_RARE_H

#include "compiler.h"
#include "event_stream.h"
#include "trace_writer.h"

/* Asks what the trace calls this thread. */
COLD void event_find_trace_thread(struct event_stream *stream, struct recorded_thread *thread);

/* Tells the trace by what mean the events that follow were sampled. */
void event_tell_interval(struct event_stream *stream, uint8_t interval_id);
/* The thread's next events were sampled otherwise, as a SAMPLING word says. */
COLD void event_change_interval(struct event_stream *stream, struct recorded_thread *thread, uint8_t interval_id);
COLD void event_take_sampling(struct event_stream *stream, struct recorded_thread *thread, uint64_t interval_bytes);

/* Returns the number of words, 0: not an event. */
int event_take_rare(struct event_stream *stream, struct recorded_thread *thread, const uint64_t *words, const struct event_origin *origin);

/* This event has been taken; when it happened nothing was recorded any more, so what it allocated may be gone already. */
COLD void event_forget_late(struct event_stream *stream, const uint64_t *words);

/* The trace's next events are this thread's. */
HOT_INLINE void event_switch_thread(struct event_stream *stream, struct recorded_thread *thread)
{
    int is_new = thread->trace_thread_id == 0;
    if (unlikely(is_new))
        event_find_trace_thread(stream, thread);
    stream->current_trace_thread_id = thread->trace_thread_id;
    trace_writer_thread(stream->blocks->writer, thread->trace_thread_id);
    if (unlikely(is_new && thread->interval_id))
        event_tell_interval(stream, thread->interval_id);
}

/* What a realloc began has ended, one way or another. */
static inline void event_leave_reallocation(struct event_stream *stream, struct recorded_thread *thread)
{
    thread->reallocating = REALLOCATING_NOT;
    if (unlikely(thread->interval_changes))
        event_change_interval(stream, thread, thread->next_interval_id);
}

#endif
