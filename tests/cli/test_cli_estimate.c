/* Intervals of estimates (cli/estimate.h): known quantiles, and by simulation how often they hold the truth. The seed is fixed. */
#include <math.h>

#include "../unit/check.h"
#include "estimate.h"
#include "trace_weight.h"

#define RUNS 4000
#define INTERVAL 65536

static void check_interval(struct estimate_interval interval, int64_t low, int64_t high)
{
    CHECK_EQUAL(interval.low, low);
    CHECK_EQUAL(interval.high, high);
}

/* Blocks that stand for 1000000 each, of which k were seen: F. Garwood's table of 95 % limits, in millionths. */
static void test_poisson(void)
{
    static const int64_t limits[][3] = {{0, 0, 3688879}, {1, 25318, 5571643}, {2, 242209, 7224688}, {3, 618672, 8767273}, {10, 4795389, 18390356},
                                        {50, 37110964, 65918767}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        double seen = (double)limits[i][0];
        struct estimate_interval interval = estimate_of_sum(seen * 1e6, seen * 1e12, 1e6);
        CHECK(llabs(interval.low - limits[i][1]) <= 2 && llabs(interval.high - limits[i][2]) <= 2);
    }
    /* Many: near the normal distribution, and its next term. */
    struct estimate_interval many = estimate_of_sum(1e10, 1e10, 1);
    CHECK(llabs(many.low - (10000000000 - 195996)) < 10 && llabs(many.high - (10000000000 + 195998)) < 10);
}

static void test_exact(void)
{
    check_interval(estimate_of_sum(1234, 0, 0), 1234, 1234);
    check_interval(estimate_of_bytes(1234, 5, 0), 1234, 1234);
    check_interval(estimate_of_bytes(0, 0, INTERVAL), 0, 0);
    check_interval(estimate_of_bytes(4096, 0, INTERVAL), 4096, 4096); /* nobody's blocks: arena slack */
    /* Blocks that can't be missed. */
    check_interval(estimate_of_bytes(300 * INTERVAL, 3, INTERVAL), 300 * INTERVAL, 300 * INTERVAL);
    check_interval(estimate_of_bytes(INT64_MAX / 2, 1, 1), INT64_MAX / 2 + 1, INT64_MAX / 2 + 1);
}

static void test_variance(void)
{
    CHECK(estimate_bytes_variance(1000, 10, 0) == 0 && estimate_bytes_variance(0, 0, 4096) == 0);
    /* Small blocks: interval x bytes. Blocks far above the interval are all recorded. */
    CHECK(fabs(estimate_bytes_variance(1 << 20, 1 << 16, 1 << 19) / ((1 << 19) * (double)(1 << 20)) - 1) < 1e-4);
    CHECK(fabs(estimate_bytes_variance(1e6, 10, 100000) * expm1(1) / (1e6 * 1e5) - 1) < 1e-12);
    CHECK(estimate_bytes_variance(1e9, 10, 1000) < 1e-6);
}

static void test_text(void)
{
    CHECK_STRING(estimate_bytes_text((struct estimate_interval){1258291, 1572864}).text, "1.20 to 1.50 MiB");
    CHECK_STRING(estimate_bytes_text((struct estimate_interval){900, 1572864}).text, "900 B to 1.50 MiB");
}

/* ---- how often ---- */

struct kind {
    double size;  /* in intervals */
    int count;
};

static uint64_t random_state = 20240607;

static double uniform(void)
{
    return ((double)(check_random(&random_state) >> 11) + 0.5) / 9007199254740992.0;
}

/* How many of them hold a sampling point. */
static int draw_seen(const struct kind *kind)
{
    double p = -expm1(-kind->size);
    int seen = 0;
    for (int i = 0; i < kind->count; i++)
        seen += uniform() < p;
    return seen;
}

struct coverage {
    double share, missed_below, missed_above; /* of all runs */
};

/* As the replay weighs them, and the reports ask. */
static struct coverage cover(const struct kind *kinds, int kind_count)
{
    double truth = 0;
    int held = 0, below = 0, above = 0;
    for (int i = 0; i < kind_count; i++)
        truth += kinds[i].count * round(kinds[i].size * INTERVAL);
    for (int run = 0; run < RUNS; run++) {
        double bytes = 0, count = 0;
        for (int i = 0; i < kind_count; i++) {
            double seen = draw_seen(&kinds[i]), p = -expm1(-kinds[i].size);
            bytes += seen * round(kinds[i].size * INTERVAL) / p;
            count += seen / p;
        }
        struct estimate_interval interval = estimate_of_bytes((int64_t)(bytes + uniform()), (int64_t)(count + uniform()), INTERVAL);
        /* A line of which nothing was seen has no row; what it may have had is known all the same. */
        if (bytes == 0)
            interval = estimate_of_sum(0, 0, INTERVAL);
        below += interval.high < truth;
        above += interval.low > truth;
        held += interval.low <= truth && truth <= interval.high;
    }
    return (struct coverage){(double)held / RUNS, (double)below / RUNS, (double)above / RUNS};
}

static void check_coverage(const struct kind *kinds, int kind_count)
{
    struct coverage coverage = cover(kinds, kind_count);
    printf("%4d of size %g: %.3f (%.3f below, %.3f above)\n", kinds->count, kinds->size, coverage.share, coverage.missed_below, coverage.missed_above);
    CHECK(coverage.share >= 0.94 && coverage.missed_below <= 0.05 && coverage.missed_above <= 0.05);
}

static void test_one_size(void)
{
    static const struct kind kinds[] = {{0.001, 500}, {0.001, 3000}, {0.01, 3000}, {0.7, 12}, {0.7, 400}, {1.5, 2}, {3, 40}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        check_coverage(&kinds[i], 1);
    /* Where many were seen they are neither wider nor narrower than said. */
    struct coverage coverage = cover(&(struct kind){0.05, 6000}, 1);
    CHECK(fabs(coverage.share - 0.95) < 0.012);
}

static void test_mixed_sizes(void)
{
    static const struct kind small[] = {{0.001, 3000}, {0.02, 300}, {0.2, 30}}, wide[] = {{0.001, 2000}, {2, 5}};
    check_coverage(small, 3);
    check_coverage(wide, 2);
}

/* ---- counts ---- */

struct sampled_kind {
    uint64_t size_bytes, interval_bytes;
    int count;
};

/* What a block of it counts for, weighed and rounded as in a trace. */
static double add_seen(const struct sampled_kind *kind, int64_t *count, double *variance, double largest)
{
    struct weight_table table;
    weight_table_init(&table, kind->interval_bytes);
    struct trace_weight weight = weight_table_weigh(&table, 0, kind->size_bytes, 0, check_random(&random_state));
    double added = trace_weight_count_variance(kind->size_bytes, weight);
    *count += (int64_t)weight.count;
    *variance += added;
    return added > largest ? added : largest;
}

/* Of the runs in which anything was seen, as only then there is a row. */
static struct coverage cover_counts(const struct sampled_kind *kinds, int kind_count)
{
    int64_t truth = 0;
    int shown = 0, held = 0, below = 0, above = 0;
    for (int i = 0; i < kind_count; i++)
        truth += kinds[i].count;
    for (int run = 0; run < RUNS; run++) {
        int64_t count = 0;
        double variance = 0, largest = 0;
        for (int i = 0; i < kind_count; i++)
            for (int seen = draw_seen(&(struct kind){(double)kinds[i].size_bytes / (double)kinds[i].interval_bytes, kinds[i].count}); seen > 0; seen--)
                largest = add_seen(&kinds[i], &count, &variance, largest);
        if (!count)
            continue;
        struct estimate_interval interval = estimate_of_count(count, variance, largest);
        shown++;
        below += interval.high < truth;
        above += interval.low > truth;
        held += interval.low <= truth && truth <= interval.high;
    }
    return (struct coverage){(double)held / shown, (double)below / shown, (double)above / shown};
}

static struct coverage check_counts(const struct sampled_kind *kinds, int kind_count)
{
    struct coverage coverage = cover_counts(kinds, kind_count);
    printf("%4d of %d bytes: %.3f (%.3f below, %.3f above)\n", kinds->count, (int)kinds->size_bytes, coverage.share, coverage.missed_below,
           coverage.missed_above);
    CHECK(coverage.share >= 0.94 && coverage.missed_below <= 0.05 && coverage.missed_above <= 0.05);
    return coverage;
}

static void test_counts(void)
{
    static const struct sampled_kind one_size[] = {{64, INTERVAL, 500},    {64, INTERVAL, 3000},  {640, INTERVAL, 3000}, {16, INTERVAL, 40000},
                                                   {45000, INTERVAL, 400}, {98304, INTERVAL, 40}, {1, 64, 300}};
    for (size_t i = 0; i < sizeof one_size / sizeof *one_size; i++)
        check_counts(&one_size[i], 1);
    /* Of many sizes, each of which was seen; and of one, by intervals that changed. */
    static const struct sampled_kind sizes[] = {{64, INTERVAL, 9000}, {1300, INTERVAL, 900}, {13000, INTERVAL, 90}, {200000, INTERVAL, 5}},
                                     changed[] = {{100, INTERVAL, 6000}, {100, INTERVAL / 16, 3000}, {100, 4 * INTERVAL, 20000}};
    check_counts(sizes, 4);
    check_counts(changed, 3);
    /* Where many were seen they are neither wider nor narrower than said. */
    struct coverage coverage = check_counts(&(struct sampled_kind){3277, INTERVAL, 6000}, 1);
    CHECK(fabs(coverage.share - 0.95) < 0.012);
    coverage = check_counts(&(struct sampled_kind){45000, INTERVAL, 3000}, 1);
    CHECK(fabs(coverage.share - 0.95) < 0.012);
    /* 300 bytes by 65536: 1/p = 218.9537, of which 218.95 is kept. 218.95 * 217.95 + 0.95 * 0.05, to a whole number; 20 of them were seen. */
    double variance = trace_weight_count_variance(300, (struct trace_weight){65685, 219});
    CHECK(variance == 47720);
    check_interval(estimate_of_count(20 * 219, 20 * variance, variance), 2679, 6758);
    check_interval(estimate_of_count(20, 0, 0), 20, 20);
    check_interval(estimate_of_count(0, 0, variance), 0, 806);
}

/* ---- differences ---- */

/* What a row of a comparison has, of which one side may have seen nothing; one in which neither has is none. */
static struct estimate_interval interval_of_seen(const struct kind *kind, int seen, int64_t *ret_count)
{
    double p = -expm1(-kind->size), step = estimate_step(kind->size * INTERVAL, INTERVAL);
    *ret_count = llround(seen / p);
    return estimate_of_sum(seen / p, seen * step * step, step);
}

static void check_difference(double size, int old_count, int new_count)
{
    const struct kind old_kind = {size, old_count}, new_kind = {size, new_count};
    int shown = 0, below = 0, above = 0;
    for (int run = 0; run < RUNS; run++) {
        int old_seen = draw_seen(&old_kind), new_seen = draw_seen(&new_kind);
        if (!old_seen && !new_seen)
            continue;
        int64_t old, new;
        struct estimate_interval old_interval = interval_of_seen(&old_kind, old_seen, &old), new_interval = interval_of_seen(&new_kind, new_seen, &new);
        struct estimate_interval interval = estimate_of_difference(old, old_interval, new, new_interval);
        shown++;
        below += interval.high < new_count - old_count;
        above += interval.low > new_count - old_count;
    }
    printf("%4d, then %d of size %g: %.3f below, %.3f above\n", old_count, new_count, size, (double)below / shown, (double)above / shown);
    CHECK(below + above <= 0.06 * shown);
    if (old_count > 1000 / size)
        CHECK(below + above >= 0.038 * shown); /* no wider than said */
}

static void test_differences(void)
{
    static const struct estimate_interval five = {5, 5}, some = {60, 180};
    check_interval(estimate_of_difference(5, five, 100, some), 55, 175);
    check_interval(estimate_of_difference(100, some, 5, five), -175, -55);
    check_interval(estimate_of_difference(100, some, 100, some), -89, 89); /* the root of 40^2 + 80^2 */
    static const struct {
        double size;
        int old_count, new_count;
    } pairs[] = {{0.01, 0, 300}, {0.01, 300, 0}, {0.01, 1000, 1000}, {0.01, 500, 3000}, {0.01, 300000, 310000}, {0.7, 12, 12}, {0.7, 400, 100}, {0.7, 0, 2}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        check_difference(pairs[i].size, pairs[i].old_count, pairs[i].new_count);
}

int main(void)
{
    test_differences();
    test_counts();
    test_poisson();
    test_exact();
    test_variance();
    test_text();
    test_one_size();
    test_mixed_sizes();
    return 0;
}
