/* When does a program begin to tear itself down? Timelines made by hand: levels in percent of 1 MB, a row each 10 ms. */
#include <stdlib.h>

#include "check.h"
#include "teardown.h"

#define ROWS 200
#define MS UINT64_C(1000000)
#define WINDOWS 20

static int quiet_from = ROWS, quiet_to = ROWS; /* rows without events */

/* 1000 in each other row. */
static uint64_t events_at(int row)
{
    int quiet = row <= quiet_from ? 0 : (row < quiet_to ? row : quiet_to) - quiet_from;
    return 1000 * (uint64_t)(row - quiet);
}

static uint64_t find(struct replay *replay, const int *percent, uint32_t reason)
{
    replay->timeline_count = ROWS;
    replay->duration_ns = ROWS * 10 * MS;
    replay->overview.has_end = 1;
    replay->overview.end.reason = reason;
    for (int i = 0; i < ROWS; i++)
        replay->timeline[i] = (struct timeline_row){.time_ns = (uint64_t)i * 10 * MS, .heap_bytes = 1000000, .block_bytes = (uint64_t)percent[i] * 10000,
                                                    .event_count = events_at(i)};
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

/* A pause of 100 ms, a twentieth of the run, within the fall: it goes on only if nothing happens in the pause. */
static void test_pause(struct replay *replay)
{
    int percent[ROWS];
    for (int i = 0; i < ROWS; i++)
        percent[i] = i <= 170 ? 80 : i <= 175 ? 80 - 4 * (i - 170) : i <= 185 ? 60 : 60 - 4 * (i - 185);
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), 1850 * MS);
    quiet_from = 175;
    quiet_to = 185;
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), 1700 * MS);
    /* One of a tenth and more is a phase of the program all the same. */
    for (int i = 0; i < ROWS; i++)
        percent[i] = i <= 150 ? 80 : i <= 155 ? 80 - 4 * (i - 150) : i <= 185 ? 60 : 60 - 4 * (i - 185);
    quiet_from = 155;
    CHECK_EQUAL(find(replay, percent, TRACE_END_EXIT), 1850 * MS);
    quiet_from = quiet_to = ROWS;
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
    test_pause(replay);
    test_none(replay);
    free(replay);
    return 0;
}
