/* Does what a line holds keep growing, or does it fill, turn over, or come in one go? Pure computation on one series: the live bytes and
 * blocks at the ends of the windows of a run. docs/leaks.md explains each figure and the limits. Allocates; aborts without memory.
 *
 * warm-up   the first quarter of the windows: what is held at its end is no growth
 * floor     at each window the least that is held then or at any later one: what was never given back afterwards. A batch that is freed, a
 *           cache that evicts and garbage that waits for its collector have a level floor; a leak raises it.
 * onset     where the floor has begun to rise: it is within 5 % of all of its growth above where it was after warm-up */
#ifndef HEAPLINE_CLI_GROWTH_H
#define HEAPLINE_CLI_GROWTH_H

struct growth_series {
    const double *seconds;       /* the windows' ends; rise */
    const double *bytes, *blocks;
    int count;
    const double *born;          /* NULL: unknown. Of the blocks live at the last window's end, how many bytes were allocated in each of born_count
                                    equal parts of the run */
    int born_count;
    double run_seconds;
    int is_python;               /* a line of Python */
    double grain_bytes;          /* of a sample: its interval; 0: exact */
};

enum growth_shape {
    GROWTH_NONE,     /* the floor is level */
    GROWTH_STEADY,   /* it rises, to the end */
    GROWTH_LEVELS,   /* it rose, and does hardly any more */
    GROWTH_STEPS,    /* it rose in one go or few */
    GROWTH_RECENT,   /* it has risen at the end only: as much may be freed next */
    GROWTH_TURNOVER, /* it rises, but no block stays: each is replaced by a younger one */
    GROWTH_FREE_LIST, /* it rises, by no more than freed lists and dicts that CPython keeps for the next ones */
    GROWTH_NOISE,    /* it rises, but by no more than what comes and goes does by chance */
};

struct growth {
    enum growth_shape shape;
    double confidence;           /* 0 to 1: that it grows for good */
    double p;                    /* Mann-Kendall's, of the windows since warm-up */
    double bytes_per_second, blocks_per_second; /* Theil-Sen, since the onset; never below 0 */
    double onset_seconds, onset_bytes, end_bytes;
    double grown_bytes, grown_blocks;           /* of the floor, since the onset */
    double late_bytes;           /* of grown_bytes, those of the last third of that time */
    double old_bytes;            /* still live of those allocated in the first half of that time; -1: unknown */
    int by_new_blocks;           /* not by making blocks larger */
    int rising_windows, window_count;           /* since the onset: with a rising floor, and all */
};

void growth_judge(const struct growth_series *series, struct growth *ret_growth);

/* Of `count` levels; `floor` has as much room. */
void growth_floor(const double *values, double *floor, int count);
/* The window at whose end warm-up is over. */
int growth_warm_window(int count);

#endif
