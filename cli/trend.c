/* Trend statistics: see trend.h. */
#include "trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double trend_slope(const double *x, const double *y, int count)
{
    double mean_x = 0, mean_y = 0, products = 0, squares = 0;
    for (int i = 0; i < count; i++) {
        mean_x += x[i] / count;
        mean_y += y[i] / count;
    }
    for (int i = 0; i < count; i++) {
        products += (x[i] - mean_x) * (y[i] - mean_y);
        squares += (x[i] - mean_x) * (x[i] - mean_x);
    }
    return squares > 0 ? products / squares : 0;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Sum over groups of equal values, of t(t-1)(2t+5). */
static double tie_correction(const double *y, int count)
{
    double sum = 0, *sorted = malloc((size_t)count * sizeof *sorted);
    if (!sorted)
        abort();
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
    return 0.5 * erfc((rising - 1) / sqrt(variance) / sqrt(2));
}
