/* Four threads count under one lock: each count is there, and errno is what it was before. */
#ifndef HEAPLINE_TESTS_LOCK_CONTEST_H
#define HEAPLINE_TESTS_LOCK_CONTEST_H

#include <errno.h>
#include <pthread.h>

#include "check.h"

#define CONTEST_THREADS 4
#define CONTEST_ROUNDS 100000

struct lock_contest {
    void (*take)(void), (*release)(void);
    long sum; /* the lock's */
};

static void *lock_contest_count(void *context)
{
    struct lock_contest *contest = context;
    for (int i = 0; i < CONTEST_ROUNDS; i++) {
        errno = i;
        contest->take();
        contest->sum++;
        contest->release();
        CHECK_EQUAL(errno, i);
    }
    return NULL;
}

static inline void lock_contest_run(void (*take)(void), void (*release)(void))
{
    pthread_t threads[CONTEST_THREADS];
    struct lock_contest contest = {take, release, 0};
    for (int i = 0; i < CONTEST_THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, lock_contest_count, &contest), 0);
    for (int i = 0; i < CONTEST_THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    CHECK_EQUAL(contest.sum, CONTEST_THREADS * CONTEST_ROUNDS);
}

#endif
