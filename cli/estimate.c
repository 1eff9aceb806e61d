/* See estimate.h. */
#include "estimate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LOW_TAIL 0.025
#define HIGH_TAIL 0.975
/* Quantiles of the normal distribution. */
#define NORMAL_LOW -1.959964
#define NORMAL_HIGH 1.959964
/* From this shape on, Wilson's and Hilferty's formula is right to a part in 10,000. */
#define LARGE_SHAPE 100.0
#define MAX_TERMS 1000
#define BISECTIONS 50

/* ---- the gamma distribution ---- */

/* The chance of less than x: the series of the incomplete gamma function (M. Abramowitz, I. A. Stegun, 6.5.29). */
static double gamma_below(double shape, double x)
{
    double term = 1 / shape, sum = term;
    for (int i = 1; i < MAX_TERMS && term > sum * 1e-12; i++)
        sum += term *= x / (shape + i);
    return sum * exp(shape * log(x) - x - lgamma(shape));
}

/* E. B. Wilson, M. M. Hilferty, The distribution of chi-square, PNAS 17, 1931. */
static double large_quantile(double shape, double normal)
{
    double root = 1 - 1 / (9 * shape) + normal / (3 * sqrt(shape));
    return shape * root * root * root;
}

static double gamma_quantile(double shape, double share)
{
    double normal = share < 0.5 ? NORMAL_LOW : NORMAL_HIGH, low = 0, high;
    if (shape >= LARGE_SHAPE)
        return large_quantile(shape, normal);
    high = shape + 8 * sqrt(shape) + 8;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = (low + high) / 2;
        *(gamma_below(shape, middle) < share ? &low : &high) = middle;
    }
    return (low + high) / 2;
}

/* ---- intervals ---- */

static int64_t whole(double value)
{
    return value < 9e18 ? (int64_t)(value + 0.5) : INT64_MAX;
}

static struct estimate_interval exact(double value)
{
    return (struct estimate_interval){whole(value), whole(value)};
}

struct estimate_interval estimate_of_sum(double sum, double variance, double step)
{
    if (!(variance > 0) && !(step > 0))
        return exact(sum);
    double low = 0, above = sum + step, above_variance = variance + step * step;
    if (sum > 0)
        low = variance > 0 ? variance / sum * gamma_quantile(sum * sum / variance, LOW_TAIL) : sum;
    return (struct estimate_interval){whole(low), whole(above_variance / above * gamma_quantile(above * above / above_variance, HIGH_TAIL))};
}

double estimate_bytes_variance(double bytes, double count, int64_t sampling_interval_bytes)
{
    if (sampling_interval_bytes <= 0 || bytes <= 0 || count <= 0)
        return 0;
    /* A block of s bytes is recorded with p = 1 - exp(-s / interval), and stands for s / p bytes: per block s^2 (1 - p) / p. */
    double size = bytes / count;
    return bytes * size / expm1(size / (double)sampling_interval_bytes);
}

/* The root of (1 - p) / p^2. */
double estimate_step(double size_bytes, int64_t sampling_interval_bytes)
{
    double size = sampling_interval_bytes > 0 ? size_bytes / (double)sampling_interval_bytes : INFINITY;
    return size < 1400 ? 1 / (2 * sinh(size / 2)) : 0;
}

struct estimate_interval estimate_of_bytes(int64_t bytes, int64_t count, int64_t sampling_interval_bytes)
{
    if (sampling_interval_bytes <= 0 || bytes <= 0 || count <= 0)
        return exact((double)bytes);
    double size = (double)bytes / (double)count;
    return estimate_of_sum((double)bytes, estimate_bytes_variance((double)bytes, (double)count, sampling_interval_bytes),
                           estimate_step(size, sampling_interval_bytes) * size);
}

struct estimate_interval estimate_of_count(int64_t count, double variance, double largest)
{
    return estimate_of_sum((double)count, variance, largest > 0 ? sqrt(largest) : 0);
}

struct estimate_interval estimate_of_difference(int64_t old, struct estimate_interval old_interval, int64_t new, struct estimate_interval new_interval)
{
    double below = hypot((double)(new - new_interval.low), (double)(old_interval.high - old));
    double above = hypot((double)(new_interval.high - new), (double)(old - old_interval.low));
    return (struct estimate_interval){new - old - llround(below), new - old + llround(above)};
}

/* ---- shown ---- */

struct unit_text estimate_bytes_text(struct estimate_interval interval)
{
    struct unit_text low = units_bytes(interval.low), high = units_bytes(interval.high), result;
    char *unit = strchr(low.text, ' '), *other = strchr(high.text, ' ');
    if (unit && other && !strcmp(unit, other))
        *unit = '\0';
    snprintf(result.text, sizeof result.text, "%.20s to %.20s", low.text, high.text);
    return result;
}

struct unit_text estimate_count_text(struct estimate_interval interval)
{
    struct unit_text result;
    snprintf(result.text, sizeof result.text, "%.20s to %.20s", units_count(interval.low).text, units_count(interval.high).text);
    return result;
}

void estimate_json(struct json *json, const char *key, struct estimate_interval interval)
{
    json_array(json, key);
    json_integer(json, NULL, interval.low);
    json_integer(json, NULL, interval.high);
    json_array_end(json);
}
