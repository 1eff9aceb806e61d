/* Does a series grow? The statistics behind the leak candidates. Pure functions. */
#ifndef HEAPLINE_CLI_TREND_H
#define HEAPLINE_CLI_TREND_H

/* Slope of the least-squares line through (x, y). 0 for fewer than two points or equal x. */
double trend_slope(const double *x, const double *y, int count);

/* Mann-Kendall's test for an upward trend: the probability of as many rising pairs in a series without one. Normal approximation with
 * the correction for ties (Gilbert, Statistical Methods for Environmental Pollution Monitoring, 1987, section 16.4.2).
 * 1 for fewer than four points or equal values. */
double trend_rising_p(const double *y, int count);

#endif
