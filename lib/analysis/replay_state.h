/* What the replay keeps while it runs; shared by replay.c (blocks, beginning, end), live_replay.c (the same of a trace that grows),
 * replay_event.c (each event), replay_time.c (what happens as time passes), replay_tally.c (sums of events) and replay_segment.c (blocks, behind
 * sums). One thread. */
#ifndef HEAPLINE_ANALYSIS_REPLAY_STATE_H
#define HEAPLINE_ANALYSIS_REPLAY_STATE_H

#include "array.h"
#include "compiler.h"
#include "replay.h"
#include "replay_sampling.h"

#define NO_EVENT UINT64_MAX

/* Events are decoded so many at a time, which fit into the first-level cache. */
#define REPLAY_BATCH 128
#define REPLAY_LOOK_AHEAD 32

/* A use's stamp: the window, from 1, in which it was last listed as changed; and whether the window log says that it holds something. */
#define STAMP_WINDOW 0x3f
#define STAMP_LOGGED 0x80

/* The latest deallocation of a thread, in case it is taken back. */
struct last_free {
    uint64_t size_bytes;
    uint32_t birth;
    uint32_t stack_id;
    uint32_t owner_id;          /* where it was temporary: the thread that allocated it */
    uint32_t owner_allocations; /* and how many allocations that thread had made by then */
    int was_temporary, valid;
};

struct thread_note {
    uint64_t sampling_interval_bytes; /* 0: all that it does is there */
    uint32_t last_slot;   /* the latest allocation if it is live still, else SLOT_NONE */
    uint32_t allocations; /* made so far, modulo 2^32 */
    struct last_free last_free;
    struct replay_weight freed_weight; /* of that block, where there are samples; count 0: it counted as itself */
};

/* What tallies say of when a stack's live blocks were allocated. */
struct tally_births {
    uint64_t oldest_ns, newest_ns;
    enum { BIRTHS_OF_EVENTS, BIRTHS_WITHIN, BIRTHS_EXACT } known; /* nothing; for those allocated since, roughly; for all */
};

struct replay_state {
    struct replay *replay;
    const struct live_slots *slots;
    uint32_t *births;        /* by slot: when it was allocated, in units of birth_unit_ns */
    uint8_t *latest;         /* a bit a slot: it is some thread's last_slot */
    size_t birth_capacity, latest_capacity;
    struct thread_note *threads;
    size_t thread_capacity;
    uint32_t *changed;       /* uses whose live bytes may have changed in this window */
    size_t changed_count, changed_capacity;
    uint32_t window_stamp;   /* of this window */
    struct tally_births *tally_births; /* by use */
    size_t tally_birth_capacity;
    int is_behind_tally;     /* the last block was sums: which blocks are live isn't known */
    struct trace_event events[REPLAY_BATCH + REPLAY_LOOK_AHEAD];
    struct trace_level level;
    uint32_t thread_id;
    uint32_t birth;          /* of allocations now */
    uint64_t birth_unit_ns;
    uint64_t time_ns;
    uint64_t rss_bytes;
    uint64_t live_allocations;
    int is_sampled;                    /* some of it is, or was: figures are estimates */
    int is_weighted;                   /* events say what they count as */
    struct replay_weight *weights;     /* by slot, where they are; count 0: the block counts as itself */
    size_t weight_capacity;
    double allocated_variance, live_variance, snapshot_variance; /* of sums of bytes */
    uint64_t event_count;
    uint64_t snapshot_event; /* take the snapshot after so many events; NO_EVENT: never */
    uint64_t snapshot_bytes; /* heap bytes then */
    uint64_t snapshot_slack_bytes, snapshot_allocations;
    /* the highest level seen, whatever the trace's headers say of it */
    struct trace_level highest;
    uint64_t highest_event, highest_time_ns;
    /* the timeline's row and the window that are being filled */
    uint64_t row_peak_bytes, row_end_ns, row_width_ns;
    uint64_t window_end_ns;
};

/* The stack's live bytes changed: the end of the window must look at it. Returns 0 or STATUS_NO_MEMORY. */
int replay_list_change(struct replay_state *state, uint32_t use_id);

HOT_INLINE int replay_note_change(struct replay_state *state, uint32_t use_id)
{
    if (likely((state->replay->uses.stamps[use_id] & STAMP_WINDOW) == state->window_stamp))
        return STATUS_OK;
    return replay_list_change(state, use_id);
}

/* Apply events that the reader has decoded. There are count + REPLAY_LOOK_AHEAD in the array; what is behind the last one may be anything that
 * was an event of this trace once, or zero. Returns 0 or STATUS_NO_MEMORY, STATUS_SYSTEM. */
int replay_events(struct replay_state *state, const struct trace_event *events, size_t count);

/* Begin a replay of the reader's trace, whose overview is taken over. Returns 0 or STATUS_NO_MEMORY; in any case replay_state_done. */
int replay_state_begin(struct replay_state *state, struct trace_reader *reader);
/* The state's own; state->replay stays. */
void replay_state_done(struct replay_state *state);
/* All definitions and events of the reader's current block. Returns 0 or an error (`detail`). */
int replay_read_block(struct replay_state *state, struct trace_reader *reader, struct status_detail *detail);
/* Sum up: state->replay->totals, as of the last event. May be called again later. */
void replay_gather_totals(struct replay_state *state);

/* Apply a whole tally, the reader's current block. Returns 0, STATUS_CORRUPT (`detail` says why), STATUS_NO_MEMORY or STATUS_SYSTEM. */
int replay_tally(struct replay_state *state, struct trace_reader *reader, const struct trace_tally *tally, struct status_detail *detail);
/* At the end: what tallies know better about births. */
void replay_tally_births(const struct replay_state *state);

/* A segment begins, the reader's current block. Returns 0, STATUS_CORRUPT (`detail` says why) or STATUS_NO_MEMORY. */
int replay_segment(struct replay_state *state, struct trace_reader *reader, struct status_detail *detail);
/* Room for what is noted of a slot. Returns 0 without memory. */
int replay_reserve_notes(struct replay_state *state, uint32_t slot);
/* The live block is the latest allocation of this thread. */
void replay_set_latest(struct replay_state *state, uint32_t thread_id, uint32_t slot);

/* Keep the live bytes of each stack as of now: the high-water mark. Returns 0 or STATUS_NO_MEMORY. */
int replay_take_snapshot(struct replay_state *state);

/* Time moves on: closes rows of the timeline and windows. Returns 0, STATUS_NO_MEMORY or STATUS_SYSTEM. */
void replay_time_begin(struct replay_state *state);
int replay_time_pass(struct replay_state *state, uint64_t time_ns);
int replay_time_end(struct replay_state *state);

HOT_INLINE uint64_t replay_slack_bytes(const struct trace_level *level)
{
    return level->arena_bytes > level->object_bytes ? level->arena_bytes - level->object_bytes : 0;
}

#endif
