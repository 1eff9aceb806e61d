/* How far the figures of a comparison may be from the truth where a side, or both, is a sample: 95 % intervals (estimate.h) of what was and what is,
 * and of the difference. Pure. */
#ifndef HEAPLINE_CLI_DIFF_INTERVAL_H
#define HEAPLINE_CLI_DIFF_INTERVAL_H

#include "diff_rows.h"

enum diff_figure { FIGURE_OLD, FIGURE_NEW, FIGURE_DELTA, FIGURE_COUNT };

/* Is one of them a sample? */
int diff_is_sampled(const struct diff_side *sides);

/* Of a row's measure, both ends of each; a side that is exact has its figure as both. Returns 0: nobody knows. `row` may be the total: of its sums of
 * bytes, only those that are compared have intervals. */
int diff_intervals(const struct diff_side *sides, const struct diff_rows *rows, const struct diff_row *row, enum measure measure,
                   struct estimate_interval ret_intervals[FIGURE_COUNT]);

#endif
