/* From the use of stacks to the use of source lines.
 *
 * Consumes a replay and its frames; produces for each stack the frame whose line it is credited to, and for each line the sum of
 * the stacks credited to it (self) and of all stacks that it is anywhere on (inclusive; recursion counts once).
 * One thread; allocates; linear in the number of stacks. */
#ifndef HEAPLINE_ANALYSIS_LINE_REPORT_H
#define HEAPLINE_ANALYSIS_LINE_REPORT_H

#include "frames.h"
#include "replay.h"

enum figure {
    FIGURE_PEAK_BYTES,
    FIGURE_PEAK_ALLOCATIONS,
    FIGURE_LIVE_BYTES,
    FIGURE_LIVE_ALLOCATIONS,
    FIGURE_ALLOCATED_BYTES,
    FIGURE_ALLOCATIONS,
    FIGURE_TEMPORARY_ALLOCATIONS,
    FIGURE_COPIED_BYTES,
    FIGURE_COPIES,
    FIGURE_COUNT
};

struct figures {
    uint64_t values[FIGURE_COUNT];
};

/* Stacks that no event names. */
enum pseudo_stack { STACK_ARENA_SLACK = -1, STACK_SMALL_COPIES = -2 };

/* A stack as it is shown. */
struct stack_entry {
    uint32_t caller_id;     /* hidden ones left out */
    uint32_t frame_id;      /* where its own is hidden, the nearest caller's that isn't; 0: none (the empty stack) */
    uint32_t line_frame_id; /* the one that is credited */
    uint32_t depth;
};

struct line_entry {
    const char *file, *function; /* file: the module where there is no line; NULL where there is none of both */
    int32_t line;                /* 0: none */
    uint8_t kind, origin;
    struct figures self, inclusive;
    uint32_t heaviest_stacks[FIGURE_COUNT]; /* of the stacks credited to it, the one with the most; 0: none has any, or the empty stack */
};

/* How far the counts of a line may be from the truth. */
struct line_error {
    struct count_error self, inclusive;
};

struct line_report {
    const struct definition_table *definitions;
    const struct frame_table *frames;
    uint32_t *line_frames;      /* by stack id: the frame that is credited */
    uint32_t *depths;           /* by stack id: frames that are shown */
    int has_hidden;             /* some place's frame is hidden */
    uint32_t stack_count;
    struct line_entry *lines;
    struct line_error *errors;  /* by line, of a sample whose errors are known; else NULL */
    uint32_t line_count;
    uint32_t *frame_lines;      /* by frame id */
};

/* Replay and frames must live as long as the report. Returns 0 or STATUS_NO_MEMORY (everything is released). */
int line_report_build(struct line_report *report, const struct replay *replay, const struct frame_table *frames);
/* Without the inclusive figures: a tenth of the time. As a trace and its frames grow, a line keeps its number. */
int line_report_build_self(struct line_report *report, const struct replay *replay, const struct frame_table *frames);
void line_report_done(struct line_report *report);

struct stack_entry line_report_stack(const struct line_report *report, uint32_t stack_id);

/* What one stack used; a pseudo stack is allowed. */
struct figures line_report_stack_figures(const struct replay *replay, int64_t stack_id);
int figures_are_zero(const struct figures *figures);

#endif
