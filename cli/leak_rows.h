/* Leak candidates: what was live before the program ended, by the line that owns it (leak_owner.h), with the growth that the run's windows
 * of time show (growth.h).
 *
 * Judged at the end of the last window before the program began to free what it held (summary.teardown_ns), else at the end of the run.
 * Order: lines that are reported (confidence LEAK_CONFIDENT and more) by growth a second, lines of the program before those of libraries (pace(),
 * leak_rows.c); then what grew until the program had nothing to do, likewise; the others by live bytes x (confidence + 0.05).
 * Memory in proportion to stacks. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_LEAK_ROWS_H
#define HEAPLINE_CLI_LEAK_ROWS_H

#include "count_error.h"
#include "estimate.h"
#include "growth.h"
#include "reading.h"
#include "stack_set.h"
#include "suppressions.h"

#define LEAK_BORN_PARTS 8

struct object_rows;
struct object_line;

/* What a line has to do with the first line of its leak (leak_groups.h). */
enum leak_relation { LEAK_ALONE, LEAK_BY_FUNCTION, LEAK_BY_LIBRARY };

struct leak_row {
    uint32_t frame_id;                     /* the line; 0: none is known */
    int is_foreign;                        /* not a line of the program itself */
    int is_carrier;                        /* it keeps very little of what it allocates */
    double pace;                           /* by which it is ranked */
    int64_t stack_id;                      /* of its stacks the one that holds the most */
    int64_t live_bytes, live_allocations;  /* when judged */
    int64_t end_bytes, end_allocations;    /* at the end of the run */
    int64_t allocations;                   /* all there ever were */
    struct count_error error;              /* of a sample: of its counts at the end of the run */
    struct count_error judged;             /* … and of live_allocations, as `live`: the same, but judged earlier, as if the blocks were of the
                                              sizes of all that were allocated */
    int64_t stack_count;                   /* that hold something */
    int64_t oldest_ns, newest_ns;          /* age of its oldest and newest block that is live at the end, then; -1: none, or unknown */
    struct growth growth;
    double laplace_score;                  /* leak_rows.c */
    int64_t limit_ns;                      /* time until the limit at this pace; -1: no limit, or no growth */
    double born[LEAK_BORN_PARTS];          /* live bytes when judged by the eighth of the run in which they were allocated */
    double *bytes, *blocks;                /* by window; owned by the rows */
    double *judged_bytes, *judged_blocks;  /* the same with what came once, by an import, counted as there from the start */
    int64_t stack_bytes;                   /* of stack_id */
    int64_t leak;                          /* the leak that it is a line of, from 1; 0: not reported */
    int is_first;                          /* of that leak's lines */
    int grew_until_idle;                   /* not reported; growth is that of the time until then, but for its confidence */
    enum leak_relation relation;
    int64_t in_step_with;                  /* of a first line: an earlier leak that grows in step with it, elsewhere; 0: none */
};

struct leak_rows {
    struct leak_row *rows;
    int64_t count;
    int64_t confident_count;            /* rows that are reported: the first ones */
    int64_t leak_count;                 /* those of one leak taken together */
    int64_t live_bytes, end_bytes;      /* of all rows; what is suppressed isn't in them */
    double growth_bytes_per_second;     /* of those reported */
    double survival;                    /* share of all allocations that was live when judged */
    int64_t judged_ns, teardown_ns;     /* teardown_ns: -1: none */
    int64_t idle_ns;                    /* from here on the program did next to nothing, until it was judged; -1: it worked */
    int active_count;                   /* windows until then */
    int64_t held_count;                 /* rows with grew_until_idle */
    int64_t limit_bytes, resident_bytes;/* 0: no limit; of the process, when judged */
    int knows_births;                   /* `born` was counted */
    int knows_errors;                   /* of counts, where they are of a sample */
    double run_seconds, grain_bytes;    /* grain_bytes: the sampling interval; 0: exact */
    int window_count;                   /* that are judged */
    double *seconds;                    /* their ends */
    double *series;                     /* all rows' bytes and blocks */
    struct stack_set set;
    const struct object_rows *objects;  /* what leak_candidate_json tells of them; NULL: nothing. The caller's, as is their database */
    sqlite3 *database;
};

/* From here on a line is reported as growing: in --fail-on and in the report. */
#define LEAK_CONFIDENT 0.5
/* At most, of what grew as long as the program worked: it may be a leak, or what an index, a cache, a start needed. */
#define LEAK_UNTIL_IDLE 0.4

/* What is suppressed is counted there and left out. limit_bytes: 0: that of the process's cgroup when it was recorded, if there was one. */
void leak_rows_load(sqlite3 *database, struct suppressions *suppressions, uint64_t limit_bytes, struct leak_rows *ret_rows);
void leak_rows_free(struct leak_rows *rows);

/* A line of the program itself: not of a library of Python's, the interpreter or the system. */
int leak_is_own(const struct set_frame *frame);

/* Of how many blocks were live, when judged; 0: they are exact, or nobody knows. */
int leak_count_interval(const struct leak_rows *rows, const struct count_error *judged, int64_t live_allocations, struct estimate_interval *ret_interval);

/* Until the limit is reached at this pace; -1: there is no limit, or no growth, or not within centuries. */
int64_t leak_limit_ns(const struct leak_rows *rows, double bytes_per_second);

/* What the last survey found at a row's line; NULL: nothing, or there was none. */
const struct object_line *leak_objects(const struct leak_rows *rows, const struct leak_row *row);
/* The object of a row, with its evidence, its levels by window and the frames of its largest stack. (leak_json.c) */
struct stack_walker;
void leak_candidate_json(struct json *json, const struct leak_rows *rows, const struct leak_row *row, struct stack_walker *walker);

/* ---- leak_text.c ---- */

/* Some sentences, of so many bytes at most. */
#define LEAK_EVIDENCE_BYTES 640
void leak_evidence(const struct leak_rows *rows, const struct leak_row *row, char *out, size_t size);
/* A word or two for the shape of the growth: "keeps growing", "levels off". */
const char *leak_shape(const struct leak_row *row);

/* The section of `heapline report`: as many rows as `limit` (0: all that grow), nothing at all where nothing grows. */
void leak_rows_print_brief(const struct reading *reading, const struct leak_rows *rows, int64_t limit);

#endif
