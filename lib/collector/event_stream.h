/* Turns what lies in the rings of all threads into one totally ordered stream of trace events.
 *
 * Consumes ring words (event_words.h) up to given cursors, produces calls of the trace writer.
 *
 * Order. Every event has a key (epoch, stamp); the stamp is 0 outside parallel epochs, where an epoch belongs to one thread. A thread reads
 * the order word after whatever its event depends on has been recorded (a block got from another thread, an address freed by another
 * thread), so keys never contradict causality, but for the few nanoseconds of a stamp (live_blocks.h).
 *
 * Limit. Events may be taken only up to a key that later arrivals can't depend on from below: whoever calls event_stream_take reads, in
 * this order, the order word, the clock, the cursors. Let E be the epoch and t the reading.
 *   the word has no owner    Every event of an epoch <= E began before the word was read. What such an event depends on had been recorded
 *                            when it began, so it is visible in the cursors, too. All epochs <= E may be taken.
 *   the word says parallel   The same for epochs < E; in E it holds for stamps < t.
 * An event of such an epoch that becomes visible only later (its thread was stopped between reading the word and moving its cursor) is
 * taken then: nothing that was taken before depended on it.
 * One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_EVENT_STREAM_H
#define HEAPLINE_COLLECTOR_EVENT_STREAM_H

#include "live_blocks.h"
#include "look_ahead.h"
#include "session.h"
#include "tick_clock.h"

struct order_key {
    uint64_t epoch, stamp;
};
#define ORDER_KEY_LAST ((struct order_key){~0ull, ~0ull})

struct definition_intake;

/* What the collector knows of a thread slot. Offsets in words from the session's start. */
struct recorded_thread {
    uint64_t position;              /* the next word to take */
    uint64_t end;                   /* the cursor, as last read */
    uint64_t ring_start, ring_end;
    struct order_key key;           /* of the last event taken */
    struct order_key next_key;      /* of the event at `position`, while other threads are served */
    uint32_t generation;
    uint32_t trace_thread_id;       /* 0: not asked for yet */
    uint8_t is_active;              /* it had words to take when cursors were read last */
    uint8_t interval_id;            /* what it samples by now (sampling_intervals.h) */
    uint8_t next_interval_id;       /* what holds when the realloc that is under way has ended, where it changes */
    uint8_t interval_changes;
    uint32_t put_off;               /* how often: the event at `position` waits for an allocation that it may have overtaken */
    uint32_t broken;                /* its words make no sense: somebody wrote over them */
    enum { REALLOCATING_NOT, REALLOCATING_UNKNOWN, REALLOCATING_KNOWN } reallocating; /* REALLOC_BEGIN was the last event, of what block */
    struct freed_block reallocated; /* the known block */
    uint64_t reallocated_address;
    struct look_ahead ahead;
};

struct event_stream {
    struct session_header *session;
    const uint64_t *words;
    struct live_blocks *blocks;
    struct definition_intake *definitions;
    struct tick_clock clock;
    uint64_t random;                   /* for copies of sampled blocks */
    uint32_t is_mixed;                 /* threads have sampled by other intervals than the session began with */
    uint64_t first_epoch;              /* what events of earlier ones allocate is not live: see event_stream_forget */
    struct recorded_thread *threads;   /* SESSION_MAX_THREADS */
    uint32_t thread_count;             /* slots seen in use */
    uint32_t current_trace_thread_id;  /* as last told to the writer */
    uint64_t next_time_ticks;          /* the writer hears of the time from here on */
    uint64_t time_step_ticks;
    uint64_t taken_events;             /* statistics for the pace of draining */
    struct recorded_thread **heap;     /* room for all of them */
};

/* Returns 0 or STATUS_NO_MEMORY. blocks and definitions stay the caller's. */
int event_stream_init(struct event_stream *stream, struct session_header *session, struct live_blocks *blocks,
                      struct definition_intake *definitions);
void event_stream_done(struct event_stream *stream);
/* Go on with another session: a forked child's. */
void event_stream_move(struct event_stream *stream, struct session_header *session);

/* Times count from the session's start as it says now. */
void event_stream_restart_clock(struct event_stream *stream);

/* What was live is no more: nothing has been recorded for a while, nor will be until the order word changes. Nor is what a thread tells from now on
 * that had been stopped, ever since, between the order word and its cursor. Between two calls of event_stream_take. */
void event_stream_forget(struct event_stream *stream);

/* How many of the threads that had words to take have not said that they sample by this interval. */
uint32_t event_stream_unfollowed(const struct event_stream *stream, uint64_t interval_bytes);

/* Read all cursors. Returns how many threads have words to take. */
uint32_t event_stream_read_cursors(struct event_stream *stream);
/* Take given cursors instead: a fork's. */
void event_stream_set_cursors(struct event_stream *stream, const uint64_t *cursors, uint32_t count);

/* Take events up to and including the limit. */
void event_stream_take(struct event_stream *stream, struct order_key limit);

/* Tell the threads how far their rings have been drained, and wake those who wait for it. */
void event_stream_publish(struct event_stream *stream);

#endif
