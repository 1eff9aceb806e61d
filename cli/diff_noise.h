/* How much of a difference between two runs is chance? Pure computation; docs/diff.md explains it. One pair of runs has no replicates, so the
 * standard error of a row's difference is put together from what each trace and the pair tell:
 *
 * sampling     of a sampled trace: the standard error of the estimate (docs/architecture.md, "Sampling")
 * fluctuation  how far the row's level goes up and down within each run, beside its trend
 * scatter      how far the counts of all rows lie from their common ratio, or from none: most rows of two runs of one program did the same, and those that
 *              differ tell by how much they do so without a cause
 *
 * Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_DIFF_NOISE_H
#define HEAPLINE_CLI_DIFF_NOISE_H

#include <stdint.h>

/* A difference of fewer standard errors than this is within the noise: all but one in 370 that are chance alone, where there are hundreds of rows. */
#define NOISE_LIMIT 3

/* Of a sample, a row of which fewer blocks than this were seen tells nothing: the normal distribution is far off. How many of `count` blocks were
 * seen; enough where hardly any can be missed, or where it is no sample. */
#define NOISE_FEW_BLOCKS 8
double noise_seen_blocks(double bytes, double count, int64_t interval_bytes);

/* The variance of a series of levels around its trend: from the median of its second differences' sizes, which neither a straight trend nor a few
 * jumps move (differences: T. Gasser, L. Sroka, C. Jennen-Steinmetz, Residual variance and residual pattern in nonlinear regression,
 * Biometrika 73, 1986; the median: F. R. Hampel, The influence curve and its role in robust estimation, JASA 69, 1974). 0 for fewer than five. */
double noise_of_levels(const double *levels, int count);

/* How rows scatter. Both: of the rows that each side has at least SCATTER_COUNT of, and at least SCATTER_ROWS such rows; else 1 and 0. */
#define SCATTER_COUNT 32
#define SCATTER_ROWS 8
struct noise_scatter {
    double ratio;      /* new counts to old ones: the median of the rows, each weighed by its counts. What is done once (start-up) has 1 */
    double dispersion; /* variance over count: 1 where counts are as Poisson's, 0 where they repeat. From the rows' upper quartile of
                          (new - ratio x old)^2 / (new + ratio^2 x old), or with 1 if that is less, against chi-squared's (P. McCullagh, J. A. Nelder, Generalized
                          linear models, 1989, 4.5: quasi-likelihood); of rows without replicates most don't differ (S. Anders, W. Huber,
                          Differential expression analysis for sequence count data, Genome Biology 11, 2010: size factors, and no replicates) */
    int64_t row_count; /* that tell */
};
void noise_scatter(const double *old_counts, const double *new_counts, int64_t count, struct noise_scatter *ret_scatter);

/* The variance that the scatter gives to a difference of bytes. */
double noise_of_scatter(const struct noise_scatter *scatter, double old_bytes, double old_count, double new_bytes, double new_count);

/* The chance that noise alone gives a smaller difference: 0 to 1, of the normal distribution; 1 where there is no noise. */
double noise_significance(double difference, double variance);
/* The part of the difference that is no noise: its size less NOISE_LIMIT standard errors, at least 0. Rows are ordered by it. */
double noise_certain(double difference, double variance);

#endif
