/* tick_clock.c: 2.5 ticks a nanosecond, readings that jitter. */
#include "check.h"
#include "tick_clock.h"

#define START_TICKS 1000000000000ull
#define START_NS 77000000000ull

static uint64_t ticks_at(uint64_t ns)
{
    return START_TICKS + ns * 5 / 2;
}

static void check_close(uint64_t actual, uint64_t expected, uint64_t tolerance)
{
    uint64_t off = actual > expected ? actual - expected : expected - actual;
    if (off > tolerance) {
        fprintf(stderr, "%" PRIu64 " ns, expected %" PRIu64 "\n", actual, expected);
        exit(1);
    }
}

int main(void)
{
    struct tick_clock clock;
    uint64_t seed = 3, last = 0;
    tick_clock_init(&clock, START_TICKS, START_NS);
    CHECK_EQUAL(tick_clock_ns(&clock, ticks_at(0)), 0);
    for (uint64_t now = 500000; now < 5000000000ull; now += 1000000 + check_random(&seed) % 1000000) {
        uint64_t jitter = check_random(&seed) % 100;
        tick_clock_update(&clock, ticks_at(now), START_NS + now + jitter);
        /* What was stamped since the last update, and a little before. */
        uint64_t event_ns = now - check_random(&seed) % 400000;
        uint64_t converted = tick_clock_ns(&clock, ticks_at(event_ns));
        check_close(converted, event_ns, 300);
        CHECK(converted + 1000 > last);
        last = converted;
    }
    check_close(tick_clock_ticks(&clock, 10000), 25000, 10);
    /* Neither a clock that stands still nor one that runs backwards does harm. */
    uint64_t before = tick_clock_ns(&clock, ticks_at(6000000000ull));
    tick_clock_update(&clock, ticks_at(100), START_NS + 6000000000ull);
    tick_clock_update(&clock, ticks_at(6000000000ull), START_NS);
    CHECK_EQUAL(tick_clock_ns(&clock, ticks_at(6000000000ull)), before);
    check_close(tick_clock_ns(&clock, ticks_at(1000)), 1000, 5000);
    CHECK_EQUAL(tick_clock_ns(&clock, 0), 0);

    uint64_t ticks = 0, monotonic_ns = 0, later_ticks = 0, later_ns = 0;
    tick_clock_read(&ticks, &monotonic_ns);
    tick_clock_read(&later_ticks, &later_ns);
    CHECK(later_ticks > ticks && later_ns > monotonic_ns);
    return 0;
}
