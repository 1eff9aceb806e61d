/* The log of live bytes by window: what goes in comes out in order, as often as it is read, in memory and from the temporary file. */
#include "check.h"
#include "status.h"
#include "window_log.h"

/* From one byte to ten, so that changes end anywhere in a buffer. */
static uint64_t bytes_of(uint32_t i)
{
    return i % 101 ? 3ull * i : UINT64_MAX - i;
}

static uint32_t use_of(uint32_t i)
{
    return i % 103 ? i % 1000 : UINT32_MAX - i;
}

static void round_trip(uint32_t count)
{
    struct window_log log;
    struct window_change change;
    window_log_init(&log);
    for (uint32_t i = 0; i < count; i++) {
        change = (struct window_change){.live_bytes = bytes_of(i), .live_allocations = i, .use_id = use_of(i), .window_id = i / 1000};
        CHECK_EQUAL(window_log_add(&log, &change), 0);
    }
    for (int round = 0; round < 3; round++) {
        CHECK_EQUAL(window_log_rewind(&log), 0);
        for (uint32_t i = 0; i < (round == 1 ? count / 2 : count); i++) {
            CHECK_EQUAL(window_log_next(&log, &change), 0);
            CHECK_EQUAL(change.live_bytes, bytes_of(i));
            CHECK_EQUAL(change.live_allocations, i);
            CHECK_EQUAL(change.use_id, use_of(i));
            CHECK_EQUAL(change.window_id, i / 1000);
        }
        if (round != 1)
            CHECK_EQUAL(window_log_next(&log, &change), STATUS_END);
    }
    window_log_done(&log);
}

/* A TMPDIR that isn't there is passed over. */
static void missing_folder(void)
{
    struct window_log log;
    struct window_change change = {0};
    int status = 0;
    window_log_init(&log);
    setenv("TMPDIR", "/nowhere/at/all", 1);
    for (uint32_t i = 0; i < 900000 && !status; i++)
        status = window_log_add(&log, &change);
    CHECK_EQUAL(status, 0);
    window_log_done(&log);
}

int main(void)
{
    static const uint32_t counts[] = {0, 1, 1000, 200000, 200001, 600000, 1u << 20};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        round_trip(counts[i]);
    missing_folder();
    return 0;
}
