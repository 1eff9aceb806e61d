/* Judges differences: see diff_noise.h. */
#include "diff_noise.h"

#include <math.h>
#include <stdlib.h>

#include "memory.h"

/* From the median of absolute values to the standard deviation, of the normal distribution. */
#define MEDIAN_TO_DEVIATION 1.482602
/* The variance of x[i-1] - 2 x[i] + x[i+1] where each has 1. */
#define SECOND_DIFFERENCE_VARIANCE 6.0
/* The probability that a block is not sampled from which on none counts as missed. */
#define HARDLY_MISSED 1e-3
/* The upper quartile of chi-squared with one degree of freedom. */
#define CHI_SQUARED_QUARTILE 1.323304

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Of values that it sorts; `share` 0 to 1; between two of them on a straight line. */
static double quantile(double *values, int64_t count, double share)
{
    double position = share * (double)(count - 1);
    int64_t before = (int64_t)position;
    qsort(values, (size_t)count, sizeof *values, compare);
    return before + 1 < count ? values[before] + (position - (double)before) * (values[before + 1] - values[before]) : values[before];
}

double noise_seen_blocks(double bytes, double count, int64_t interval_bytes)
{
    if (interval_bytes <= 0 || bytes <= 0 || count <= 0)
        return count > 0 ? NOISE_FEW_BLOCKS : 0;
    double missed = exp(-bytes / count / (double)interval_bytes);
    return missed < HARDLY_MISSED ? NOISE_FEW_BLOCKS : count * (1 - missed);
}

double noise_of_levels(const double *levels, int count)
{
    if (count < 5)
        return 0;
    double *sizes = memory_new((size_t)count, sizeof *sizes);
    for (int i = 1; i + 1 < count; i++)
        sizes[i - 1] = fabs(levels[i - 1] - 2 * levels[i] + levels[i + 1]);
    double deviation = quantile(sizes, count - 2, 0.5) * MEDIAN_TO_DEVIATION;
    free(sizes);
    return deviation * deviation / SECOND_DIFFERENCE_VARIANCE;
}

struct weighted {
    double value, weight;
};

static int compare_weighted(const void *a, const void *b)
{
    return compare(&((const struct weighted *)a)->value, &((const struct weighted *)b)->value);
}

/* The value that half of the weight is not above. Sorts them. */
static double weighted_median(struct weighted *values, int64_t count)
{
    double sum = 0, half = 0;
    qsort(values, (size_t)count, sizeof *values, compare_weighted);
    for (int64_t i = 0; i < count; i++)
        half += values[i].weight / 2;
    for (int64_t i = 0; i < count; i++)
        if ((sum += values[i].weight) >= half)
            return values[i].value;
    return 1;
}

/* How far a row lies from a ratio, in variances as Poisson's. */
static double residual(double old_count, double new_count, double ratio)
{
    double off = new_count - ratio * old_count;
    return off * off / (new_count + ratio * ratio * old_count);
}

void noise_scatter(const double *old_counts, const double *new_counts, int64_t count, struct noise_scatter *ret_scatter)
{
    struct noise_scatter scatter = {.ratio = 1};
    struct weighted *ratios = memory_new((size_t)count, sizeof *ratios);
    double *residuals = memory_new((size_t)count, sizeof *residuals);
    for (int64_t i = 0; i < count; i++)
        if (old_counts[i] >= SCATTER_COUNT && new_counts[i] >= SCATTER_COUNT)
            ratios[scatter.row_count++] = (struct weighted){new_counts[i] / old_counts[i], old_counts[i] + new_counts[i]};
    if (scatter.row_count >= SCATTER_ROWS) {
        int64_t told = 0;
        scatter.ratio = weighted_median(ratios, scatter.row_count);
        for (int64_t i = 0; i < count; i++)
            if (old_counts[i] >= SCATTER_COUNT && new_counts[i] >= SCATTER_COUNT)
                residuals[told++] = fmin(residual(old_counts[i], new_counts[i], scatter.ratio), residual(old_counts[i], new_counts[i], 1));
        scatter.dispersion = quantile(residuals, told, 0.75) / CHI_SQUARED_QUARTILE;
    }
    free(ratios);
    free(residuals);
    *ret_scatter = scatter;
}

static double square_over(double value, double count)
{
    return count > 0 ? value * value / count : 0;
}

double noise_of_scatter(const struct noise_scatter *scatter, double old_bytes, double old_count, double new_bytes, double new_count)
{
    return scatter->dispersion * (square_over(old_bytes, old_count) + square_over(new_bytes, new_count));
}

double noise_significance(double difference, double variance)
{
    if (difference == 0)
        return 0;
    return variance > 0 ? erf(fabs(difference) / sqrt(2 * variance)) : 1;
}

double noise_certain(double difference, double variance)
{
    double certain = fabs(difference) - NOISE_LIMIT * sqrt(variance);
    return certain > 0 ? certain : 0;
}
