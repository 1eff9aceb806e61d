/* The two sides of `heapline diff`: a trace each, or two moments of one; its stacks with what they used, and what is known of each level over
 * time. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_DIFF_SIDES_H
#define HEAPLINE_CLI_DIFF_SIDES_H

#include "line_rows.h"
#include "stack_set.h"
#include "summary.h"

enum diff_moment {
    MOMENT_WHOLE, /* no moment was given: all of the run's figures */
    MOMENT_PEAK,
    MOMENT_END,
    MOMENT_EXIT,  /* before the program freed what it held, because it ended; the end where it didn't. As MOMENT_TIME else */
    MOMENT_TIME,  /* the end of the window (table `window`) nearest to it */
};

/* A moment as it was given behind the trace's name: "@10s", "@1m30s", "@50%", "@peak", "@exit", "@end", "@start". */
struct diff_point {
    enum diff_moment moment;
    double seconds, share;  /* of MOMENT_TIME: one of them; share below 0: seconds */
};

struct diff_use {
    int64_t measures[MEASURE_COUNT];
};

struct diff_side {
    struct reading reading;
    char *path;             /* the trace, without a moment */
    struct diff_point point;
    sqlite3 *database;
    struct summary summary;
    struct stack_set set;
    struct diff_use *uses;  /* by stack index */
    struct count_error *errors; /* of their counts, where it is a sample; NULL: it is none, or nobody knows, as of most moments */
    int64_t moment_ns;      /* of a moment: when it was; -1: none */
    int64_t window_id;      /* of MOMENT_TIME and MOMENT_EXIT; -1: none */
    int64_t teardown_ns;    /* when the program began to free what it held, because it ended; -1: it didn't */
    /* Of a window: what was live then, and whose stacks nobody knows, because they held nothing any more when the run ended. */
    int64_t unknown_bytes;
};

/* Splits "TRACE@MOMENT", unless there is a file of the whole name. Exits with status 2 for a moment that means nothing. */
void diff_side_parse(struct diff_side *side, const struct reading *reading, const char *operand);
/* Opens the trace and loads its stacks; `folds`: without the interpreter's own frames. */
void diff_side_open(struct diff_side *side, int folds);
void diff_side_close(struct diff_side *side);

/* Snapshots or moments of one process? */
static inline int diff_sides_are_one_process(const struct diff_side *sides)
{
    return sides[0].summary.pid == sides[1].summary.pid && sides[0].summary.start_realtime_ns == sides[1].summary.start_realtime_ns;
}

/* Calls visit with each span of a stack's level over the run's windows (table live_span); behind warm-up, and before teardown. */
struct diff_level {
    uint32_t stack;   /* index */
    int first, last;  /* of 0 to the number of levels - 1 */
    int64_t bytes, allocations;
};
int diff_side_level_count(const struct diff_side *side);
void diff_side_each_level(const struct diff_side *side, void (*visit)(void *context, const struct diff_level *level), void *context);

/* Text of a recorded source file as it was when the trace was made: bundled, or on disk and not changed since. malloc'ed; NULL: not to be had. */
char *diff_side_source(const struct diff_side *side, const char *file, size_t *ret_bytes);
/* Is the file on disk, and unchanged since the trace was made? 1, 0; -1: there is none. */
int diff_side_is_unchanged(const struct diff_side *side, const char *file);

#endif
