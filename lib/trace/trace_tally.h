/* What a trace says of a stretch of time in which it doesn't list the events: what they add up to. A trace whose size is bounded ends
 * with such tallies (docs/trace_format.md, "Tally blocks"); the replay goes on from its own state with them.
 * Plain structs; changes are relative to the stretch's beginning and modulo 2^64. */
#ifndef HEAPLINE_TRACE_TRACE_TALLY_H
#define HEAPLINE_TRACE_TRACE_TALLY_H

#include "count_error.h"
#include "trace_event.h"

struct trace_tally {
    uint64_t first_event, event_count;
    uint64_t start_time_ns, end_time_ns;
    struct trace_level end_level;
    int has_peak;                /* the trace's highest level so far was reached in this stretch: the peak_ fields are valid */
    uint64_t peak_event;         /* events of the whole trace up to and including the one that reached it */
    uint64_t peak_time_ns;
    uint64_t peak_bytes;         /* heap bytes then */
    struct trace_level peak_level;
    /* totals since the trace's beginning */
    uint64_t lost_events, unknown_frees, small_copies, small_copied_bytes, peak_rss_bytes;
    uint64_t longest_interval_bytes; /* of samples; 0: all that was recorded counts as itself */
    int has_errors;              /* stacks say how far their counts may be from the truth; 0 with samples: nobody knows (format version 4) */
    double allocated_variance;       /* of the sums of bytes, where there were samples … */
    double live_variance, peak_variance; /* … of what is live at the end, and was at the latest high-water mark */
};

/* A point of the timeline. */
struct tally_moment {
    uint64_t time_ns, heap_bytes;
    uint64_t heap_peak_bytes;    /* highest level since the moment before */
    uint64_t rss_bytes;
};

/* What a stack did in the stretch. */
struct tally_stack {
    uint32_t stack_id;
    uint32_t has_births;         /* oldest and newest are valid */
    int64_t live_bytes, live_allocations;  /* changes */
    uint64_t allocated_bytes, allocations;
    int64_t temporary_allocations;         /* negative: a failed realloc took one of an earlier stretch back */
    uint64_t copied_bytes, copies;
    int64_t peak_bytes, peak_allocations;  /* changes up to the peak, where the tally has one */
    uint64_t oldest, newest;     /* of its live blocks: enum tally_birth */
    struct count_error errors;   /* of what it did in the stretch: changes, as the counts are */
};

/* When a live block was allocated: 2 * slot for a block of the trace's events, which the reader knows; else 2 * nanoseconds + 1. */
enum tally_birth { TALLY_BIRTH_OF_SLOT = 0, TALLY_BIRTH_TIME = 1 };

static inline uint64_t tally_birth_of_slot(uint32_t slot)
{
    return (uint64_t)slot << 1 | TALLY_BIRTH_OF_SLOT;
}

static inline uint64_t tally_birth_at(uint64_t time_ns)
{
    return time_ns << 1 | TALLY_BIRTH_TIME;
}

#endif
