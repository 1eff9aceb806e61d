/* How far an estimate from a sample may be from the truth: intervals that hold it in 95 of 100 runs (docs/architecture.md, "Sampling").
 *
 * Of a sum of k sampled blocks that stand for as much each, it is the exact interval of a Poisson count (F. Garwood, Biometrika 28, 1936), so that it is
 * right where few blocks were seen, too; of sums of different weights the gamma interval of M. P. Fay and E. J. Feuer (Statistics in Medicine 16,
 * 1997), whose special case that is. Where a block was rather sampled than not, its own variance is less than Poisson's, and the interval as much
 * narrower. Pure computation. */
#ifndef HEAPLINE_CLI_ESTIMATE_H
#define HEAPLINE_CLI_ESTIMATE_H

#include <stdint.h>

#include "json.h"
#include "units.h"

#define ESTIMATE_KEY "interval_95" /* of the objects that hold them */

struct estimate_interval {
    int64_t low, high;
};

/* Of a sum whose estimate has this variance, to which a block more would add the square of `step`. Variance and step 0: it is exact. */
struct estimate_interval estimate_of_sum(double sum, double variance, double step);

/* The variance of an estimate of `bytes` in `count` blocks, both from a sample by this interval; 0: exact. Of blocks of one size, which those of a stack mostly
 * have: it is then what summary.allocated_bytes_error is the root of, in expectation. */
double estimate_bytes_variance(double bytes, double count, int64_t sampling_interval_bytes);

/* The root of what one sampled block of this size adds to the variance of a count; times its size, of bytes. */
double estimate_step(double size_bytes, int64_t sampling_interval_bytes);

/* What the new figure is more than the old one: the distances of the two from the ends of their intervals add up in quadrature (G. Y. Zou,
 * A. Donner, Construction of confidence limits about effect measures: a general approach, Statistics in Medicine 27, 2008). Of samples that
 * were taken apart; where they share blocks, as those of one process do, it is too wide. */
struct estimate_interval estimate_of_difference(int64_t old, struct estimate_interval old_interval, int64_t new, struct estimate_interval new_interval);

/* Of bytes in so many blocks, both estimates from a sample by this interval; 0: exact. As if the blocks were of one size; but those that are smaller than
 * the sampling interval stand for about as many bytes each, whatever their size. (What a block counts for depends on its size by far more: the
 * intervals of counts are made from their variance, count_interval.h.) */
struct estimate_interval estimate_of_bytes(int64_t bytes, int64_t count, int64_t sampling_interval_bytes);

/* Of a count of sampled blocks: its variance, and the most that one of them added to it. Both go by the sizes that were seen: what is so small and so
 * rare that nothing of it was seen is not in it. */
struct estimate_interval estimate_of_count(int64_t count, double variance, double largest);

/* "1.20 to 1.43 MiB" */
struct unit_text estimate_bytes_text(struct estimate_interval interval);
/* "1,200 to 1,430" */
struct unit_text estimate_count_text(struct estimate_interval interval);
/* "key": [low, high] */
void estimate_json(struct json *json, const char *key, struct estimate_interval interval);

#endif
