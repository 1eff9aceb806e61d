/* What range_report.c keeps while it reads a trace; shared with range_rows.c, which makes the report's rows of it. One thread. */
#ifndef HEAPLINE_ANALYSIS_RANGE_STATE_H
#define HEAPLINE_ANALYSIS_RANGE_STATE_H

#include "array.h"
#include "compiler.h"
#include "range_report.h"
#include "trace_reader.h"

#define RANGE_NO_USE UINT32_MAX

struct use_state {
    int64_t bytes, count;           /* live */
    int64_t marked_bytes, marked_count;
    struct range_flow flow;         /* of this window */
    uint64_t mark;
    int is_listed;                  /* in `changed` */
};

struct block_note {
    uint32_t use;
    int16_t birth;
};

/* Deallocations of this window by use and window of birth: open addressing. */
struct death {
    uint64_t key;  /* 0: free */
    int64_t bytes, count;
};

struct range_freed {
    uint32_t owner, use;
    int16_t birth;
    int was_temporary, valid;
};

struct range_thread {
    uint32_t last_slot;
    struct range_freed freed;
};

struct ranges {
    struct range_report *report;
    const struct range_request *request;
    const struct live_slots *slots;
    struct use_state *states;       /* by use */
    size_t state_capacity, use_capacity, flow_capacity, kept_capacity, peak_capacity;
    uint32_t *use_table;            /* by hash of group and thread: use + 1 */
    size_t use_mask;
    struct death *deaths;
    size_t death_mask, death_count;
    struct block_note *notes;       /* by slot */
    size_t note_capacity;
    struct range_thread *threads;
    size_t thread_capacity;
    uint32_t *changed;
    size_t changed_count, changed_capacity;
    struct weight_table weights;    /* of a sample whose events don't say what they count as */
    int is_sampled, is_weighted;
    int is_behind_tally;            /* the last block was sums: which blocks are live isn't known */
    struct trace_level level, highest;
    uint64_t mark, event_count;
    uint64_t small_copied_bytes, small_copies;          /* so far */
    uint64_t window_small_copied_bytes, window_small_copies; /* at the window's start */
    uint32_t thread_id;
    int window;
};

/* Room for the first use and the first death. Returns 0 or STATUS_NO_MEMORY, as all that follow. */
int range_rows_begin(struct ranges *ranges);
/* The use of a stack on the current thread; RANGE_NO_USE without memory. */
uint32_t range_find_use(struct ranges *ranges, uint32_t stack_id);
/* It has something to say of this window. */
int range_list_use(struct ranges *ranges, uint32_t use);
/* What it holds has changed. Call it before range_note_level. */
int range_change_level(struct ranges *ranges, uint32_t use, int64_t bytes, int64_t count);
/* ranges->level has changed: is it the window's highest? */
void range_note_level(struct ranges *ranges);
/* Blocks that were allocated in another window are gone. */
int range_count_death(struct ranges *ranges, uint32_t use, int16_t birth, int64_t bytes, int64_t count);
/* What has died becomes rows, with this window as that of its death. */
int range_flush_deaths(struct ranges *ranges);
/* The window's rows; the next one begins. */
int range_close_window(struct ranges *ranges);

#endif
