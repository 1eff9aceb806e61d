/* When does a program begin to tear itself down? Timelines made by hand: levels in percent of 1 MB, a row each 10 ms. */
#include <stdlib.h>

#include "check.h"
#include "teardown.h"

#define ROWS 200
#define MS UINT64_C(1000000)
#define WINDOWS 20

static uint64_t find(struct replay *replay, const int *percent, uint32_t reason)
{
    replay->timeline_count = ROWS;
    replay->duration_ns = ROWS * 10 * MS;
    replay->overview.has_end = 1;
    replay->overview.end.reason = reason;
    for (int i = 0; i < ROWS; i++)
        replay->timeline[i] = (struct timeline_row){.time_ns = (uint64_t)i * 10 * MS, .heap_bytes = (uint64_t)percent[i] * 10000};
    replay->window_count = WINDOWS;
    for (uint32_t i = 0; i < WINDOWS; i++)
        replay->windows[i] = (struct window_row){.end_time_ns = (i + 1) * 100 * MS};
    replay->teardown_ns = teardown_find(replay);
    return replay->teardown_ns;
}

/* Rises to 80 at row 180, then `fall` a row. */
static void grow_and_fall(int *percent, int fall)
{
    for (int i = 0; i < ROWS; i++)
        percent[i] = i <= 180 ? 10 + i * 70 / 180 : 80 - (i - 180) * fall > 0 ? 80 - (i - 180) * fall : 0;
}

static void test_fall(struct replay *replay)
{
    int percent[ROWS];
    grow_and_fall(percent, 4);
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), 1800 * MS);
    CHECK_EQUAL(teardown_last_window(replay), 17); /* it ends at 1.8 s */
    CHECK_EQUAL(find(replay, percent, TRACE_END_SIGNAL), TEARDOWN_NONE);
    CHECK_EQUAL(teardown_last_window(replay), WINDOWS - 1);
    percent[182] = percent[181] + 1; /* a small rise on the way */
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), 1800 * MS);
    percent[190] = percent[189] + 20; /* a large one: what comes after it is the end */
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), 1900 * MS);
}

static void test_none(struct replay *replay)
{
    int percent[ROWS];
    grow_and_fall(percent, 0);
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), TEARDOWN_NONE);
    /* What was freed long before the end is a phase, not the end. */
    for (int i = 0; i < ROWS; i++)
        percent[i] = i < 150 ? 80 : i < 160 ? 20 : 10;
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), TEARDOWN_NONE);
    for (int i = 0; i < ROWS; i++)
        percent[i] = i < 20 ? 90 : 80 - i * 2 / 5; /* it falls all the time */
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), TEARDOWN_NONE);
    replay->timeline_count = 0;
    CHECK_EQUAL(teardown_find(replay), TEARDOWN_NONE);
}

int main(void)
{
    struct replay *replay = calloc(1, sizeof *replay);
    CHECK(replay != NULL);
    test_fall(replay);
    test_none(replay);
    free(replay);
    return 0;
}
