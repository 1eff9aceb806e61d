/* The clock that stamps events: the cheapest monotonic counter the machine has.
 * x86-64: the TSC (10 ns a reading); aarch64: the virtual counter; elsewhere CLOCK_MONOTONIC in ns.
 * The TSC is read as soon as the core comes to it, which may be before earlier loads have got what they wait for: 100 ns too early, where an address
 * comes from another core. Where that matters, clock_ticks_in_order (20 ns); what else it can do, the collector repairs (live_blocks.h).
 * Ticks become nanoseconds in the collector, which reads both clocks at every drain. Any thread; never allocates. */
#ifndef HEAPLINE_COMMON_CLOCK_H
#define HEAPLINE_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "compiler.h"

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

HOT_INLINE uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    /* Not read ahead of what came before it: as Linux's own clocks do. */
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
#else
    return clock_ns(CLOCK_MONOTONIC);
#endif
}

/* After all that came before it, loads included. */
HOT_INLINE uint64_t clock_ticks_in_order(void)
{
#if defined(__x86_64__)
    __builtin_ia32_lfence();
#endif
    return clock_ticks();
}

#endif
