/* See diff_interval.h. */
#include "diff_interval.h"

#include "count_interval.h"

static int is_sampled(const struct diff_side *side)
{
    return side->summary.sampling_interval_bytes != 0;
}

int diff_is_sampled(const struct diff_side *sides)
{
    return is_sampled(&sides[0]) || is_sampled(&sides[1]);
}

/* The bytes of what this counts; bytes are their own. */
static enum measure bytes_of(enum measure measure)
{
    return measures[measure].is_bytes ? measure : measure - 1;
}

/* Of what a sample has seen none of: it may have missed blocks like those that it did see, or else like the other side's. */
static struct estimate_interval of_nothing(const struct diff_row *row, int side, enum measure measure, int64_t sampling_interval_bytes)
{
    enum measure bytes = bytes_of(measure);
    if (!measures[measure].is_bytes && !count_error_is_zero(&row->errors[side]))
        return count_interval_of(&row->errors[side], measure, 0);
    int64_t other_count = row->measures[!side][bytes + 1];
    double size = other_count > 0 ? (double)row->measures[!side][bytes] / (double)other_count : 0;
    double step = size > 0 ? estimate_step(size, sampling_interval_bytes) : 0;
    return estimate_of_sum(0, 0, measures[measure].is_bytes ? step * size : step);
}

/* Bytes of nobody's blocks are arena slack and the like: no sample tells how much that errs by. */
static int find_of_row(const struct diff_side *side, const struct diff_row *row, int index, enum measure measure, struct estimate_interval *ret_interval)
{
    int64_t figure = row->measures[index][measure], interval_bytes = side->summary.sampling_interval_bytes;
    int64_t count = row->measures[index][bytes_of(measure) + 1];
    if (figure && (measures[measure].is_bytes ? !count : !side->errors))
        return 0;
    if (!figure)
        *ret_interval = of_nothing(row, index, measure, interval_bytes);
    else
        *ret_interval = measures[measure].is_bytes ? estimate_of_bytes(figure, count, interval_bytes)
                                                   : count_interval_of(&row->errors[index], measure, figure);
    return 1;
}

/* No block's part in the variance is larger than the square of the interval. */
static int find_of_total(const struct diff_side *side, const struct diff_rows *rows, int index, enum measure measure, struct estimate_interval *ret_interval)
{
    const struct diff_row *total = &rows->total;
    if (measures[measure].is_bytes ? measure != rows->of->amount : !side->errors)
        return 0;
    *ret_interval = measures[measure].is_bytes ? estimate_of_sum((double)total->measures[index][measure], total->sample_variance[index],
                                                                 (double)side->summary.sampling_interval_bytes)
                                               : count_interval_of(&total->errors[index], measure, total->measures[index][measure]);
    return 1;
}

int diff_intervals(const struct diff_side *sides, const struct diff_rows *rows, const struct diff_row *row, enum measure measure,
                   struct estimate_interval ret_intervals[FIGURE_COUNT])
{
    if (!measures[measure].is_bytes && !count_interval_has(measure))
        return 0;
    for (int i = 0; i < 2; i++) {
        int64_t figure = row->measures[i][measure];
        ret_intervals[i] = (struct estimate_interval){figure, figure};
        if (is_sampled(&sides[i]) && !(row == &rows->total ? find_of_total(&sides[i], rows, i, measure, &ret_intervals[i])
                                                           : find_of_row(&sides[i], row, i, measure, &ret_intervals[i])))
            return 0;
    }
    ret_intervals[FIGURE_DELTA] = estimate_of_difference(row->measures[0][measure], ret_intervals[0], row->measures[1][measure], ret_intervals[1]);
    return 1;
}
