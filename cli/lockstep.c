/* See lockstep.h. */
#include "lockstep.h"

#include <math.h>

#define FEWEST_WINDOWS 4
#define SLACK_SHARE 0.02
#define CONCORDANCE 0.75
/* The share of a sample of n blocks that come at random wanders by sqrt(1 / 6n) in the mean (a Brownian bridge); allowed is half as much again. */
#define SAMPLE_DEVIATIONS 0.6

static double growth_of(const struct lockstep_series *series, int count)
{
    return series->levels[count - 1] - series->levels[0];
}

static double wander_at(const struct lockstep_series *series, const double *seconds, int count, int window)
{
    double even = (seconds[window] - seconds[0]) / (seconds[count - 1] - seconds[0]);
    return (series->levels[window] - series->levels[0]) / growth_of(series, count) - even;
}

/* The difference of the shares that says nothing. */
static double slack(const struct lockstep_series *a, const struct lockstep_series *b)
{
    double of_steps = fmax(SLACK_SHARE, 1 / fmax(a->steps, 1) + 1 / fmax(b->steps, 1));
    if (a->samples <= 0 || b->samples <= 0)
        return of_steps;
    return fmax(of_steps, SAMPLE_DEVIATIONS * sqrt(1 / a->samples + 1 / b->samples));
}

int lockstep(const double *seconds, int count, const struct lockstep_series *a, const struct lockstep_series *b)
{
    double differences = 0, wanders = 0;
    if (count < FEWEST_WINDOWS || growth_of(a, count) <= 0 || growth_of(b, count) <= 0 || seconds[count - 1] <= seconds[0])
        return 0;
    for (int i = 0; i < count; i++) {
        double left = wander_at(a, seconds, count, i), right = wander_at(b, seconds, count, i);
        differences += (left - right) * (left - right);
        wanders += left * left + right * right;
    }
    return sqrt(differences / count) <= slack(a, b) || differences <= (1 - CONCORDANCE) * wanders;
}
