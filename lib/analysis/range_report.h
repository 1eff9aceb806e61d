/* What happened in which part of a run: the figures behind a range of time that somebody chooses afterwards.
 *
 * What the trace lists of a run is cut into windows. Of each use (a group of stacks, as the caller numbers them, on one thread) it is counted what it
 * allocated and copied in each window; of its blocks, in which window each was allocated and in which it was freed; and what it held when the
 * window's heap was at its highest. So a range of windows has exact answers: only its two ends lie where windows meet. Of a sample they are
 * estimates, by the weights that the replay has.
 * Consumes a trace in a pass of its own; memory in proportion to live blocks and to uses and the windows they are active in. One thread;
 * allocates. */
#ifndef HEAPLINE_ANALYSIS_RANGE_REPORT_H
#define HEAPLINE_ANALYSIS_RANGE_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

#define RANGE_MAX_WINDOWS 100
#define RANGE_BEFORE (-1) /* a block's window of birth: it was there before events were listed (inherited by fork, or the trace begins with sums) */

struct range_use {
    uint32_t group, thread_id;
};

/* What a use did in a window; only where it did something. */
struct range_flow {
    uint32_t use, window;
    uint64_t allocated_bytes, allocations, temporary_allocations, copied_bytes, copies;
};

/* Blocks of a use that outlived the window they were allocated in. death: the window in which they were freed; window_count: never. */
struct range_kept {
    uint32_t use;
    int16_t birth, death;
    int64_t bytes, count;
};

/* What a use held when the window's heap was highest, less what it held at the window's end; only where they differ. */
struct range_peak {
    uint32_t use, window;
    int64_t bytes, count;
};

struct range_window {
    uint64_t end_time_ns, heap_bytes, slack_bytes;  /* at its end */
    uint64_t peak_bytes, peak_slack_bytes;          /* at its highest; slack is in both */
    uint64_t small_copied_bytes, small_copies;      /* within it, below the threshold: of no use */
};

struct range_report {
    struct range_window windows[RANGE_MAX_WINDOWS];
    struct range_use *uses;
    struct range_flow *flows;
    struct range_kept *kept;
    struct range_peak *peaks;
    size_t use_count, flow_count, kept_count, peak_count;
    int window_count;
};

struct range_request {
    const uint32_t *groups;  /* by stack id */
    uint32_t stack_count;    /* stacks with higher ids are in group 0 */
    int window_count;        /* 1 to RANGE_MAX_WINDOWS */
    const uint64_t *end_times_ns; /* of the windows; the first begins where the trace begins to list events */
};

/* Of a trace that lists events only from some time on, or up to some time (trace_overview), the windows are to lie within. Returns 0, what
 * trace_reader_open returns, STATUS_NO_MEMORY, or STATUS_END where the trace lists events, doesn't, and lists them again. After success:
 * range_report_free. */
int range_report_build(const char *trace_path, const struct range_request *request, struct range_report **ret_report, struct status_detail *detail);
void range_report_free(struct range_report *report);

#endif
