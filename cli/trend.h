/* Does a series grow? The statistics behind the leak candidates. Pure functions; they allocate, and abort without memory. */
#ifndef HEAPLINE_CLI_TREND_H
#define HEAPLINE_CLI_TREND_H

/* The Theil-Sen slope: the median of the slopes of all pairs of points, which a third of outliers cannot move (H. Theil, A rank-invariant
 * method of linear and polynomial regression analysis, Proc. Kon. Ned. Akad. Wet. A 53, 1950; P. K. Sen, Estimates of the regression
 * coefficient based on Kendall's tau, JASA 63, 1968). x rises. 0 for fewer than two points. */
double trend_slope(const double *x, const double *y, int count);

/* Mann-Kendall's test for an upward trend (H. B. Mann, Nonparametric tests against trend, Econometrica 13, 1945; M. G. Kendall, Rank
 * correlation methods, 1975): the probability of as many rising pairs in a series without one. Normal approximation, with the correction
 * for ties (R. O. Gilbert, Statistical methods for environmental pollution monitoring, 1987, section 16.4.2) and that for autocorrelation
 * (K. H. Hamed and A. R. Rao, A modified Mann-Kendall trend test for autocorrelated data, Journal of Hydrology 204, 1998, eq. 12): the
 * variance rises where the ranks of the residuals around the Theil-Sen line follow each other, and never falls.
 * 1 for fewer than four points or equal values. */
double trend_rising_p(const double *y, int count);

#endif
