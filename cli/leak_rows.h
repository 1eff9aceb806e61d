/* Leak candidates: what was live at the end, by stack, with the growth that the run's windows of time show.
 *
 * growth      slope of a straight line through the stack's live bytes at the ends of the windows after the run's first quarter
 *             (warm-up: caches and imports fill there), in bytes per second; never below 0
 * confidence  0 to 1: (1 - p) x min(1, 2 x share of its live bytes that came after the first quarter) x min(1, rising windows / 4)
 *             p: Mann-Kendall's, that so steady a growth is chance. So what was allocated early, once, or in one go scores low.
 * Order: live bytes x (confidence + 0.05): a steady small leak before a large cache, but not before one twenty times as large. Memory in proportion to the stacks that are live at the end. */
#ifndef HEAPLINE_CLI_LEAK_ROWS_H
#define HEAPLINE_CLI_LEAK_ROWS_H

#include "reading.h"

struct leak_row {
    int64_t stack_id;
    int64_t live_bytes, live_allocations;
    int64_t oldest_ns, newest_ns;          /* age of its oldest and newest live block at the end; -1: unknown */
    double growth_bytes_per_second, confidence;
    double p;                              /* Mann-Kendall's */
    int64_t first_bytes;                   /* live at the end of the first quarter */
    int rising_windows, window_count;      /* after the first quarter */
};

struct leak_rows {
    struct leak_row *rows;
    int64_t count;
    int64_t live_bytes; /* of all rows */
};

/* From here on a candidate counts as growing: in --fail-on and in the report. */
#define LEAK_CONFIDENT 0.5

/* file (or module), line and function that a stack (?1) is credited to. */
#define LEAK_PLACE_SQL \
    "SELECT coalesce(file, module), line, function FROM stack JOIN frame ON frame.frame_id = stack.line_frame_id WHERE stack_id = ?1"

void leak_rows_load(sqlite3 *database, struct leak_rows *ret_rows);
void leak_rows_free(struct leak_rows *rows);

/* One sentence. */
void leak_evidence(const struct leak_row *row, char *out, size_t size);

/* The section of `heapline report`, of rows that are loaded: as many as `limit` (0: all that grow), nothing at all where nothing was live. */
void leak_rows_print_brief(const struct reading *reading, sqlite3 *database, const struct leak_rows *rows, int64_t limit);

#endif
