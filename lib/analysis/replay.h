/* The replay: one pass over a trace's events, from which every figure of the report comes.
 *
 * Consumes a trace through trace_reader.h; produces totals, the use of each stack, the snapshot at the high-water mark, the
 * timeline and the live bytes at the end of each window of time. Memory in proportion to live blocks and distinct stacks,
 * not to events. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_REPLAY_H
#define HEAPLINE_ANALYSIS_REPLAY_H

#include "definition_table.h"
#include "stack_uses.h"
#include "status.h"
#include "survivors.h"
#include "trace_reader.h"
#include "window_log.h"

/* Raised whenever the same trace would give other figures than before: cached databases of older replays are then rebuilt. */
#define REPLAY_VERSION 14

#define REPLAY_WINDOWS 32
#define REPLAY_TIMELINE_ROWS 2000

struct stack_level {
    uint64_t bytes, allocations;
};

/* Levels of the stacks that were live at a moment. */
struct level_table {
    uint32_t *ids;              /* by use: its level; 0: it held nothing */
    uint32_t use_count;         /* how many uses there were then */
    struct stack_level *levels; /* from 1 */
};

/* A stack that is live at the end. */
struct live_stack {
    uint64_t oldest_ns, newest_ns; /* when the oldest and the newest of its live blocks were allocated */
    uint32_t stack_id;
};

struct timeline_row {
    uint64_t time_ns, heap_bytes, heap_peak_bytes, rss_bytes;
    uint64_t block_bytes; /* of the live blocks: without arena slack */
    uint64_t event_count; /* until then */
};

struct window_row {
    uint64_t end_time_ns, heap_bytes, event_count;
};

struct replay_totals {
    uint64_t event_count;
    uint64_t allocated_bytes, allocations;
    uint64_t temporary_allocations;
    uint64_t copied_bytes, copies;             /* small ones included */
    uint64_t small_copied_bytes, small_copies; /* below the threshold: no stack is known */
    uint64_t live_bytes, live_allocations;     /* at the end; bytes: heap bytes, arena slack included */
    uint64_t live_slack_bytes;                 /* of arenas, covered by no live object */
    uint64_t peak_bytes, peak_allocations, peak_slack_bytes;
    uint64_t peak_event, peak_time_ns, peak_rss_bytes;
    uint64_t allocated_bytes_error, peak_bytes_error; /* standard errors of estimates; 0: exact */
    uint32_t has_unknown_errors;               /* of counts: sums that don't tell theirs are part of them (format version 4); else in `uses` */
    uint64_t lost_events, unknown_frees;
    uint64_t sampling_interval_bytes;          /* the longest of all; 0: figures are exact */
};

struct replay {
    struct trace_overview overview;
    struct status_detail damage; /* status 0: the trace was read to its end */
    uint64_t duration_ns;
    uint64_t teardown_ns;        /* teardown.h */
    struct definition_table definitions;
    struct replay_totals totals;
    struct stack_uses uses;
    struct level_table peak;        /* at the high-water mark */
    struct live_stack *live;        /* at the end, in the order of their ids */
    uint32_t live_count;
    struct timeline_row timeline[REPLAY_TIMELINE_ROWS];
    uint32_t timeline_count;
    struct window_row windows[REPLAY_WINDOWS];
    uint32_t window_count;
    struct survivor_log survivors;  /* ages of live blocks */
    struct window_log window_log;   /* changes of live bytes by stack, window by window */
};

/* Called after each block with the share of the file done, 0 to 1. */
typedef void replay_progress(void *context, double done);

/* Replay a whole trace. Returns 0, what trace_reader_open returns, STATUS_NO_MEMORY, or STATUS_SYSTEM (temporary file).
 * A trace that is cut or damaged gives its good part: 0, with replay->damage set. `progress` may be NULL.
 * After success: replay_free. */
int replay_run(const char *trace_path, replay_progress *progress, void *context, struct replay **ret_replay,
               struct status_detail *detail);
void replay_free(struct replay *replay);

/* It is a sample, and how far its counts may be from the truth is known: replay->uses.errors. */
static inline int replay_knows_errors(const struct replay *replay)
{
    return replay->totals.sampling_interval_bytes && !replay->totals.has_unknown_errors;
}

/* What a use held at the high-water mark. */
static inline struct stack_level replay_peak_level(const struct replay *replay, uint32_t use_id)
{
    uint32_t id = use_id < replay->peak.use_count ? replay->peak.ids[use_id] : 0;
    return id ? replay->peak.levels[id] : (struct stack_level){0, 0};
}

#endif
