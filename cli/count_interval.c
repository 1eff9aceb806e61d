/* See count_interval.h. */
#include "count_interval.h"

#include <stdlib.h>
#include <string.h>

int count_errors_known(sqlite3 *database)
{
    char *known = query_property(database, "count_errors");
    int is_known = known && !strcmp(known, "yes");
    free(known);
    return is_known;
}

struct count_error count_error_read(sqlite3_stmt *statement, int first_column)
{
    double figures[6];
    for (int i = 0; i < 6; i++)
        figures[i] = sqlite3_column_double(statement, first_column + i);
    return (struct count_error){.peak = figures[0], .live = figures[1], .allocations = figures[2], .copies = figures[3],
                                .largest_block = figures[4], .largest_copy = figures[5]};
}

int count_interval_has(enum measure measure)
{
    return measure == PEAK_ALLOCATIONS || measure == LIVE_ALLOCATIONS || measure == ALLOCATIONS || measure == COPIES;
}

double count_error_variance(const struct count_error *error, enum measure measure)
{
    return measure == PEAK_ALLOCATIONS   ? error->peak
           : measure == LIVE_ALLOCATIONS ? error->live
           : measure == ALLOCATIONS      ? error->allocations
                                         : error->copies;
}

struct estimate_interval count_interval_of(const struct count_error *error, enum measure measure, int64_t count)
{
    return estimate_of_count(count, count_error_variance(error, measure), measure == COPIES ? error->largest_copy : error->largest_block);
}

struct count_error count_error_total(sqlite3 *database)
{
    struct count_error total = {0};
    sqlite3_stmt *row = query_prepare(database, "SELECT " COUNT_ERROR_SUMS " FROM stack_error");
    if (query_step(row)) {
        total = count_error_read(row, 0);
        sqlite3_finalize(row);
    }
    return total;
}
