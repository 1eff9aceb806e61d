/* Do two lines grow in the same steps, as the blocks of one leaked thing do? Pure computation on their levels at the ends of the windows.
 *
 * share    what of a line's growth was made by a moment, 0 to 1
 * wander   how far that is ahead of even growth (a straight line) then
 *
 * Two lines are in step where one's share is the other's at all times: the root mean square of the difference is within what can be known
 * (2 %, or a step of each, or of a sample what chance does); or where they wander together: concordance of the wanders is 0.75 and
 * more (L. I.-K. Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 45, 1989; about zero, as a wander begins
 * and ends there). Levels themselves correlate wherever two lines grow at all. */
#ifndef HEAPLINE_CLI_LOCKSTEP_H
#define HEAPLINE_CLI_LOCKSTEP_H

struct lockstep_series {
    const double *levels;
    double steps;   /* it grew in so many: blocks, or enlargements */
    double samples; /* of them that were seen; 0: all, it is no sample */
};

/* 1: they are in step. 0 also where one doesn't grow, or there are fewer than four windows. seconds: the windows' ends; rise. */
int lockstep(const double *seconds, int count, const struct lockstep_series *a, const struct lockstep_series *b);

#endif
