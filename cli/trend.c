/* Trend statistics: see trend.h. */
#include "trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* Autocorrelations beyond this are taken for real: two-sided, at 5 %. */
#define SIGNIFICANT_Z 1.96

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

double trend_slope(const double *x, const double *y, int count)
{
    size_t pairs = 0;
    double *slopes = memory_new((size_t)count * (size_t)count / 2, sizeof *slopes);
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            if (x[j] > x[i])
                slopes[pairs++] = (y[j] - y[i]) / (x[j] - x[i]);
    qsort(slopes, pairs, sizeof *slopes, compare);
    double median = pairs ? (slopes[(pairs - 1) / 2] + slopes[pairs / 2]) / 2 : 0;
    free(slopes);
    return median;
}

/* Sum over groups of equal values, of t(t-1)(2t+5). */
static double tie_correction(const double *y, int count)
{
    double sum = 0, *sorted = memory_new((size_t)count, sizeof *sorted);
    memcpy(sorted, y, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare);
    for (int i = 0; i < count;) {
        int ties = 1;
        while (i + ties < count && sorted[i + ties] == sorted[i])
            ties++;
        sum += (double)ties * (ties - 1) * (2 * ties + 5);
        i += ties;
    }
    free(sorted);
    return sum;
}

/* Ranks less their mean; equal values share theirs. */
static void rank(const double *values, double *ranks, int count)
{
    for (int i = 0; i < count; i++) {
        ranks[i] = 0;
        for (int j = 0; j < count; j++)
            ranks[i] += (values[j] < values[i]) - (values[j] > values[i]);
        ranks[i] /= 2;
    }
}

static double autocorrelation(const double *ranks, int count, int lag)
{
    double products = 0, squares = 0;
    for (int i = 0; i < count; i++)
        squares += ranks[i] * ranks[i];
    for (int i = 0; i + lag < count; i++)
        products += ranks[i] * ranks[i + lag];
    return squares > 0 ? products / squares : 0;
}

/* By how much the variance of the test is larger than that of independent values; at least 1. */
static double variance_inflation(const double *y, int count)
{
    double *x = memory_new((size_t)count, sizeof *x), *residuals = memory_new((size_t)count, sizeof *residuals), *ranks = memory_new((size_t)count, sizeof *ranks);
    double n = count, sum = 0;
    for (int i = 0; i < count; i++)
        x[i] = i;
    double slope = trend_slope(x, y, count);
    for (int i = 0; i < count; i++)
        residuals[i] = y[i] - slope * x[i];
    rank(residuals, ranks, count);
    for (int lag = 1; lag < count - 2; lag++) {
        double correlation = autocorrelation(ranks, count, lag);
        if (fabs(correlation) > SIGNIFICANT_Z / sqrt(n))
            sum += (n - lag) * (n - lag - 1) * (n - lag - 2) * correlation;
    }
    free(x);
    free(residuals);
    free(ranks);
    double inflation = 1 + 2 / (n * (n - 1) * (n - 2)) * sum;
    return inflation > 1 ? inflation : 1;
}

double trend_rising_p(const double *y, int count)
{
    double rising = 0;
    if (count < 4)
        return 1;
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < count; j++)
            rising += (y[j] > y[i]) - (y[j] < y[i]);
    if (rising <= 0)
        return 1;
    double variance = ((double)count * (count - 1) * (2 * count + 5) - tie_correction(y, count)) / 18;
    if (variance <= 0)
        return 1;
    return 0.5 * erfc((rising - 1) / sqrt(variance * variance_inflation(y, count)) / sqrt(2));
}
