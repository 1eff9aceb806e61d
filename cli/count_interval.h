/* How far counts of a sample may be from the truth: what the tables stack_error, line_error and line_error_inclusive of the report database say, and
 * the intervals that are made of it (estimate.h). A row that is not there says that the counts are exact. Pure but for reading columns. */
#ifndef HEAPLINE_CLI_COUNT_INTERVAL_H
#define HEAPLINE_CLI_COUNT_INTERVAL_H

#include "count_error.h"
#include "estimate.h"
#include "line_rows.h"

#define COUNT_ERROR_COLUMNS "peak_variance, live_variance, allocations_variance, copies_variance, largest_block, largest_copy"
#define COUNT_ERROR_SUMS \
    "sum(peak_variance), sum(live_variance), sum(allocations_variance), sum(copies_variance), max(largest_block), max(largest_copy)"

/* Is it a sample whose errors are known? Not where it has sums of an older version of the trace format. */
int count_errors_known(sqlite3 *database);

/* Of a statement's columns as above, from this one on. */
struct count_error count_error_read(sqlite3_stmt *statement, int first_column);

/* Temporary allocations have none: of a sample they aren't known at all. */
int count_interval_has(enum measure measure);
/* Of a count that is one of those. */
double count_error_variance(const struct count_error *error, enum measure measure);
struct estimate_interval count_interval_of(const struct count_error *error, enum measure measure, int64_t count);
/* Of all stacks. */
struct count_error count_error_total(sqlite3 *database);

#endif
