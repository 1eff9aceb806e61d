/* See tick_clock.h. */
#include "tick_clock.h"

#include "clock.h"

/* Readings of the two clocks lie within some 100 ns: over this span the slope is good to 1 in 10^5. Before, it is measured anew
 * whenever the span has doubled … */
#define SLOPE_NS 10000000ull
/* … and the line is bent this rarely. */
#define LINE_NS 1000000000ull

void tick_clock_init(struct tick_clock *clock, uint64_t start_ticks, uint64_t start_ns)
{
    *clock = (struct tick_clock){.start_ns = start_ns, .base_ticks = start_ticks};
}

void tick_clock_update(struct tick_clock *clock, uint64_t ticks, uint64_t monotonic_ns)
{
    if (ticks <= clock->base_ticks || monotonic_ns <= clock->start_ns + clock->base_ns)
        return;
    uint64_t line_ticks = ticks - clock->base_ticks, line_ns = monotonic_ns - clock->start_ns - clock->base_ns;
    if (line_ns >= SLOPE_NS || line_ns >= 2 * clock->slope_span_ns) {
        clock->ns_per_tick = (uint64_t)(((unsigned __int128)line_ns << 32) / line_ticks);
        if (line_ns > clock->slope_span_ns)
            clock->slope_span_ns = line_ns;
    }
    if (line_ns >= LINE_NS) {
        clock->base_ticks = ticks;
        clock->base_ns += line_ns;
    }
}

void tick_clock_read(uint64_t *ret_ticks, uint64_t *ret_monotonic_ns)
{
    uint64_t best = ~0ull;
    for (int attempt = 0; attempt < 5 && best > 200; attempt++) {
        uint64_t before = clock_ns(CLOCK_MONOTONIC), ticks = clock_ticks(), after = clock_ns(CLOCK_MONOTONIC);
        if (after - before >= best)
            continue;
        best = after - before;
        *ret_ticks = ticks;
        *ret_monotonic_ns = before + best / 2;
    }
}

uint64_t tick_clock_ns(const struct tick_clock *clock, uint64_t ticks)
{
    if (ticks >= clock->base_ticks)
        return clock->base_ns + (uint64_t)((unsigned __int128)(ticks - clock->base_ticks) * clock->ns_per_tick >> 32);
    uint64_t back = (uint64_t)((unsigned __int128)(clock->base_ticks - ticks) * clock->ns_per_tick >> 32);
    return back < clock->base_ns ? clock->base_ns - back : 0;
}

uint64_t tick_clock_ticks(const struct tick_clock *clock, uint64_t ns)
{
    if (clock->ns_per_tick == 0)
        return ns;
    return (uint64_t)(((unsigned __int128)ns << 32) / clock->ns_per_tick);
}
