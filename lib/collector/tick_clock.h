/* From the event clock's ticks (clock.h) to nanoseconds since the trace's start.
 *
 * Straight lines between pairs of readings of both clocks: the line is extended beyond the last pair, and bent there once the pair is old
 * enough to be exact. Never steeper than the readings say, so times run backwards by no more than a reading's error (the writer ignores
 * that). One thread; never allocates. */
#ifndef HEAPLINE_COLLECTOR_TICK_CLOCK_H
#define HEAPLINE_COLLECTOR_TICK_CLOCK_H

#include <stdint.h>

struct tick_clock {
    uint64_t start_ns;             /* CLOCK_MONOTONIC at the trace's time 0 */
    uint64_t base_ticks, base_ns;  /* where the current line begins: base_ns since start_ns */
    uint64_t ns_per_tick;          /* its slope, in 1/2^32 … */
    uint64_t slope_span_ns;        /* … measured over so long at most */
};

/* The pair that the target read when it started. */
void tick_clock_init(struct tick_clock *clock, uint64_t start_ticks, uint64_t start_ns);

/* Take a new pair, by preference read now: tick_clock_read. */
void tick_clock_update(struct tick_clock *clock, uint64_t ticks, uint64_t monotonic_ns);
void tick_clock_read(uint64_t *ret_ticks, uint64_t *ret_monotonic_ns);

uint64_t tick_clock_ns(const struct tick_clock *clock, uint64_t ticks);
/* A duration in ticks, about. */
uint64_t tick_clock_ticks(const struct tick_clock *clock, uint64_t ns);

#endif
