/* What the programs of the micro benchmark share: clocks, a series of samples, and how a figure is printed: a line of JSON that
 * `ingredients` reads. A sample is the mean of a short run; the least of many says what the code costs, the median what the machine
 * was busy with. */
#ifndef HEAPLINE_BENCHMARKS_INGREDIENTS_H
#define HEAPLINE_BENCHMARKS_INGREDIENTS_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SAMPLES 512

struct series {
    double samples[MAX_SAMPLES];
    int count;
};

/* CPU time of this thread. */
static inline double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* This thread on one core; does nothing where there is no such core. */
static inline void pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static inline void *checked(void *pointer)
{
    if (!pointer) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

static inline void series_add(struct series *series, double ns)
{
    if (series->count < MAX_SAMPLES)
        series->samples[series->count++] = ns;
}

static int series_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* {"name": …, "min": …, "median": …}; `more`: further members, each with a comma before it. Sorts the series. */
static inline void series_print(struct series *series, const char *name, const char *more)
{
    qsort(series->samples, (size_t)series->count, sizeof series->samples[0], series_compare);
    printf("{\"name\": \"%s\", \"min\": %.3f, \"median\": %.3f%s}\n", name, series->samples[0], series->samples[series->count / 2], more);
    fflush(stdout);
}

/* Was this asked for? Every name that begins as one of the arguments, all without arguments. */
static inline int is_wanted(const char *name, char **wanted)
{
    int any = !*wanted;
    for (; *wanted; wanted++)
        any |= strncmp(name, *wanted, strlen(*wanted)) == 0;
    return any;
}

static inline uint64_t random_next(void)
{
    static uint64_t state = 88172645463325252ull;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dull >> 11;
}

#endif
