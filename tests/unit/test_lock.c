/* lock.h: one holder at a time, and errno is the caller's, also where the wait was interrupted. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "check.h"
#include "lock.h"
#include "lock_contest.h"

static struct lock lock;
static _Atomic int interruptions;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&interruptions, 1);
}

static void *wait_for_it(void *unused)
{
    errno = EDOM;
    lock_take(&lock);
    CHECK_EQUAL(errno, EDOM);
    lock_release(&lock);
    CHECK_EQUAL(errno, EDOM);
    return unused;
}

static void interrupted(void)
{
    pthread_t waiter;
    struct sigaction action = {.sa_handler = on_signal};
    CHECK_EQUAL(sigaction(SIGUSR1, &action, NULL), 0); /* No SA_RESTART: the futex call returns EINTR. */
    lock_take(&lock);
    CHECK_EQUAL(pthread_create(&waiter, NULL, wait_for_it, NULL), 0);
    while (atomic_load(&lock.state) != 2)
        usleep(100);
    for (int i = 1; i <= 20; i++) {
        usleep(1000);
        CHECK_EQUAL(pthread_kill(waiter, SIGUSR1), 0);
        while (atomic_load(&interruptions) < i)
            usleep(100);
    }
    lock_release(&lock);
    CHECK_EQUAL(pthread_join(waiter, NULL), 0);
}

static void take(void)
{
    lock_take(&lock);
}

static void release(void)
{
    lock_release(&lock);
}

int main(void)
{
    interrupted();
    lock_contest_run(take, release);
    return 0;
}
