/* The process's totals, from the table `summary`, and the lines that reports begin with. */
#ifndef HEAPLINE_CLI_SUMMARY_H
#define HEAPLINE_CLI_SUMMARY_H

#include "count_interval.h"
#include "estimate.h"
#include "reading.h"

struct summary {
    char *command, *executable, *exit_kind, *damage;
    char *stopped;          /* why recording ended before the program; NULL: it didn't */
    char *recorded;         /* spans of time that were recorded, "from-to from-to from-" in ns, or "none"; NULL: all of it */
    char *sampling_changes; /* "time:bytes time:bytes", the first of time 0; NULL: the sampling interval was the same all the time */
    int64_t unsafe_stacks, lost_definitions;
    int64_t native_checks, native_differences; /* of --check-native */
    char *unrecorded;       /* NULL, or why this program was not recorded: the trace says no more than this */
    int64_t unrecorded_children; /* further ones that have no trace of this kind */
    char *cut;              /* why the trace ends before the program: the collector was killed, the disk full; NULL: it doesn't, or nobody knows */
    char *changed_modules; /* paths, a line each: their files are not the recorded ones; NULL: none */
    int other_malloc;       /* malloc was another library's: only what came through us was recorded */
    int python_stacks_off;  /* an interpreter whose frames can't be read */
    int64_t pid, parent_pid, exit_status, start_realtime_ns, duration_ns, complete;
    int64_t peak_bytes, peak_time_ns, peak_rss_bytes, event_count;
    int64_t allocated_bytes, allocations, live_bytes_at_end, live_allocations_at_end, temporary_allocations;
    int is_endless;         /* the trace has no end: the collector was killed, its disk was full, or it still writes */
    int64_t events_from_ns; /* of a rotated trace: until here there are only sums; 0: there are events from the beginning */
    int64_t stream_end_ns;  /* events are known one by one up to here; -1: all are */
    int64_t copied_bytes, copies, lost_events, unknown_frees, sampling_interval_bytes, copy_threshold_bytes;
    int64_t allocated_bytes_error, peak_bytes_error; /* standard errors; 0: exact */
    int64_t peak_allocations;
    int knows_count_errors; /* of a sample; count_error: what they are */
    struct count_error count_error;
};

struct recorded_span {
    int64_t start_ns, end_ns;
};

struct sampling_span {
    int64_t start_ns, interval_bytes; /* 0: everything was recorded */
};

void summary_load(sqlite3 *database, struct summary *ret_summary);
void summary_free(struct summary *summary);

/* Where the truth of these figures lies, in 95 of 100 runs. */
struct estimate_interval summary_peak_interval(const struct summary *summary);
struct estimate_interval summary_allocated_interval(const struct summary *summary);
/* Of a count; 0: it isn't known. */
int summary_count_interval(const struct summary *summary, enum measure measure, struct estimate_interval *ret_interval);
/* "key": [low, high], where it is known. */
void summary_count_json(struct json *json, const struct summary *summary, enum measure measure, const char *key);

/* The span that *at, a place in summary.recorded, begins with; moves *at behind it. 0: there is none. */
int summary_next_span(const char **at, int64_t duration_ns, struct recorded_span *ret_span);

/* The same for summary.sampling_changes. */
int summary_next_sampling(const char **at, struct sampling_span *ret_span);

/* A line of its own, wrapped. */
void summary_print_warning(const struct reading *reading, const char *text);

/* The command line with its program's base name only; a piece of the summary. */
const char *summary_command(const struct summary *summary);

/* "python3 train.py", then process, ending, time, events. */
void summary_print_title(const struct reading *reading, const struct summary *summary);
/* What a reader must know before trusting the figures: killed, damaged, events lost, sampled. Nothing to say: prints nothing. */
void summary_print_warnings(const struct reading *reading, const struct summary *summary);

/* Heap bytes over time as one line of `columns`. `out`: 4 bytes a column and one more. */
void summary_sparkline(const struct reading *reading, sqlite3 *database, const struct summary *summary, char *out, int columns);

/* Is the trace without an end because it is being written, on this machine? */
int summary_is_growing(const struct reading *reading, const struct summary *summary);

/* How a process ended: "exit 0", "SIGKILL", … */
void summary_ending(const char *exit_kind, int64_t exit_status, char *out, size_t size);

#endif
