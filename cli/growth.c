/* Judges growth: see growth.h. */
#include "growth.h"

#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "trend.h"

/* The floor is past its beginning once it has made so much of its growth. */
#define ONSET_SHARE 0.05
/* The growing part is cut into so many parts of equal time; one counts if it has this much of its share of the growth. */
#define PARTS 6
#define PART_SHARE 0.15
/* Growth of the last third against its share of all. A straight line has 1. */
#define LEVEL_RATE 0.2
#define STEADY_RATE 0.5
/* p of 10 to the minus so much: a program has thousands of lines, of which some rise by chance. */
#define CHANCE_EXPONENT 2
#define CERTAIN_EXPONENT 4
/* Bytes of the first half of the growth that are still live, against half of the growth. Fewer new blocks than FEW_BLOCKS tell nothing. */
#define FEW_BLOCKS 4
#define GONE_SHARE 0.2
#define STAYED_SHARE 0.6
/* CPython keeps as many freed lists, and as many dicts, for the next ones (PyList_MAXFREELIST, PyDict_MAXFREELIST; seen in 3.8 to 3.13), of 56 and 64 bytes. list(…)
 * and dict(…) allocate without looking there (tp_alloc), so that each call of them adds one, until it is full. */
#define FREE_LIST_BLOCKS 80
#define FREE_LIST_BLOCK_BYTES 64
#define BEYOND_FREE_LIST 100
/* Of a sample: growth of fewer blocks that were seen is chance. */
#define CHANCE_GRAINS 16
#define CERTAIN_GRAINS 48

/* 0 up to `none`, 1 from `all` on, a straight line between. */
static double ramp(double value, double none, double all)
{
    return value <= none ? 0 : value >= all ? 1 : (value - none) / (all - none);
}

void growth_floor(const double *values, double *floor, int count)
{
    for (int i = count; i-- > 0;)
        floor[i] = i + 1 < count && floor[i + 1] < values[i] ? floor[i + 1] : values[i];
}

/* Between windows, on a straight line. */
static double floor_at(const double *floor, double position)
{
    int before = (int)position;
    double share = position - before;
    return share > 0 ? floor[before] + share * (floor[before + 1] - floor[before]) : floor[before];
}

static int find_onset(const double *floor, int first, int last)
{
    double limit = floor[first] + ONSET_SHARE * (floor[last] - floor[first]);
    int onset = first;
    while (onset + 1 < last && floor[onset + 1] <= limit)
        onset++;
    return onset;
}

/* Of the last third of the growing part. */
static double late_growth(const double *floor, int onset, int last)
{
    return floor[last] - floor_at(floor, last - (last - onset) / 3.0);
}

/* How many of the parts grow. */
static int count_parts(const double *floor, int onset, int last)
{
    double width = (double)(last - onset) / PARTS, share = (floor[last] - floor[onset]) / PARTS;
    int growing = 0;
    for (int part = 0; part < PARTS; part++) {
        double end = part + 1 < PARTS ? onset + (part + 1) * width : last;
        growing += floor_at(floor, end) - floor_at(floor, onset + part * width) >= PART_SHARE * share;
    }
    return growing;
}

/* How many live bytes were allocated between two moments. */
static double born_between(const struct growth_series *series, double from_seconds, double to_seconds)
{
    double width = series->run_seconds / series->born_count, bytes = 0;
    for (int part = 0; part < series->born_count; part++) {
        double begin = fmax(part * width, from_seconds), end = fmin((part + 1) * width, to_seconds);
        if (end > begin)
            bytes += series->born[part] * (end - begin) / width;
    }
    return bytes;
}

/* 1 where blocks from the first half of the growth are still there, as many as its half; 0 where they are gone. What grows by making blocks
 * larger (a list, a buffer) says nothing: each time it is a new one. */
static double judge_survival(const struct growth_series *series, struct growth *growth, int onset, int last)
{
    double mean_bytes = series->blocks[last] > 0 ? series->bytes[last] / series->blocks[last] : 0;
    growth->by_new_blocks = growth->grown_blocks >= FEW_BLOCKS && growth->grown_blocks * mean_bytes >= growth->grown_bytes / 2;
    growth->old_bytes = -1;
    if (!series->born || series->run_seconds <= 0)
        return 1;
    growth->old_bytes = born_between(series, series->seconds[onset], (series->seconds[onset] + series->seconds[last]) / 2);
    return !growth->by_new_blocks ? 1 : ramp(2 * growth->old_bytes / growth->grown_bytes, GONE_SHARE, STAYED_SHARE);
}

/* 0 where all that has grown may lie in a free list of the interpreter's. */
static double judge_free_list(const struct growth_series *series, const struct growth *growth)
{
    int may_be_listed = series->is_python && growth->grown_bytes <= growth->grown_blocks * FREE_LIST_BLOCK_BYTES;
    return may_be_listed ? ramp(growth->grown_blocks, FREE_LIST_BLOCKS, BEYOND_FREE_LIST) : 1;
}

static void judge_shape(struct growth *growth, const double *floor, double survival, double unlisted, int first, int onset, int last)
{
    double late_rate = 3 * growth->late_bytes / growth->grown_bytes;
    double certain = growth->p > 0 ? ramp(-log10(growth->p), CHANCE_EXPONENT, CERTAIN_EXPONENT) : 1;
    double lasting = ramp((double)(last - onset) / (last - first), 0.3, 0.6);
    double spread = ramp(count_parts(floor, onset, last), 3, 5) * ramp(growth->rising_windows, 3, 7);
    double unabated = ramp(late_rate, LEVEL_RATE, STEADY_RATE);
    growth->confidence = certain * lasting * spread * unabated * survival * unlisted;
    if (lasting < 0.5)
        growth->shape = GROWTH_RECENT;
    else if (unabated < 0.5)
        growth->shape = GROWTH_LEVELS;
    else if (spread < 0.5)
        growth->shape = GROWTH_STEPS;
    else if (survival < 0.5)
        growth->shape = GROWTH_TURNOVER;
    else if (unlisted < 0.5)
        growth->shape = GROWTH_FREE_LIST;
    else
        growth->shape = growth->confidence < 0.5 ? GROWTH_NOISE : GROWTH_STEADY;
}

static double at_least_zero(double value)
{
    return value > 0 ? value : 0;
}

int growth_warm_window(int count)
{
    return count / 4 > 0 ? count / 4 - 1 : 0;
}

void growth_judge(const struct growth_series *series, struct growth *ret_growth)
{
    int count = series->count, last = count - 1, first = growth_warm_window(count);
    struct growth growth = {.p = 1, .old_bytes = -1, .end_bytes = count ? series->bytes[last] : 0};
    double *floor = memory_new((size_t)count, sizeof *floor), *block_floor = memory_new((size_t)count, sizeof *block_floor);
    growth_floor(series->bytes, floor, count);
    growth_floor(series->blocks, block_floor, count);
    if (count && floor[last] > floor[first]) {
        int onset = find_onset(floor, first, last);
        growth.p = trend_rising_p(series->bytes + first, count - first);
        growth.onset_seconds = series->seconds[onset];
        growth.onset_bytes = series->bytes[onset];
        growth.bytes_per_second = at_least_zero(trend_slope(series->seconds + onset, series->bytes + onset, count - onset));
        growth.blocks_per_second = at_least_zero(trend_slope(series->seconds + onset, series->blocks + onset, count - onset));
        growth.grown_bytes = floor[last] - floor[onset];
        growth.grown_blocks = block_floor[last] - block_floor[onset];
        growth.late_bytes = late_growth(floor, onset, last);
        growth.window_count = last - onset;
        for (int i = onset; i < last; i++)
            growth.rising_windows += floor[i + 1] > floor[i];
        double seen = series->grain_bytes > 0 ? ramp(growth.grown_bytes / series->grain_bytes, CHANCE_GRAINS, CERTAIN_GRAINS) : 1;
        double survival = judge_survival(series, &growth, onset, last);
        judge_shape(&growth, floor, survival, judge_free_list(series, &growth), first, onset, last);
        growth.confidence *= seen;
        if (growth.shape == GROWTH_STEADY && growth.confidence < 0.5)
            growth.shape = GROWTH_NOISE;
    }
    free(floor);
    free(block_floor);
    *ret_growth = growth;
}
