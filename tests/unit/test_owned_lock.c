/* owned_lock.h: one holder at a time; the holder itself may come again; one that never comes back is waited for once. */
#include <pthread.h>

#include "capture_fixture.h"
#include "check.h"
#include "lock_contest.h"
#include "owned_lock.h"

static struct owned_lock lock;
static _Atomic int is_held;

static void take(void)
{
    CHECK(owned_lock_take(&lock));
}

static void release(void)
{
    owned_lock_release(&lock);
}

static void check_threads(void)
{
    lock_contest_run(take, release);
    CHECK_EQUAL(lock.word, 0);
}

/* By other threads: a lock that is recovered must be free. */
static void *take_once(void *unused)
{
    CHECK(owned_lock_take(&lock));
    owned_lock_release(&lock);
    return unused;
}

static void check_free(void)
{
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, take_once, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
}

static void check_again(void)
{
    CHECK(owned_lock_take(&lock) && owned_lock_take(&lock) && owned_lock_take(&lock));
    owned_lock_release(&lock);
    owned_lock_release(&lock);
    CHECK(lock.word != 0);
    owned_lock_release(&lock);
    CHECK_EQUAL(lock.word, 0);
    check_free();
}

/* The hook that took it, or took it twice, has been jumped out of. */
static void check_recovered(void)
{
    for (int times = 0; times < 3; times++) {
        for (int i = 0; i < times; i++)
            CHECK(owned_lock_take(&lock));
        owned_lock_recover(&lock);
        CHECK_EQUAL(lock.word, 0);
        check_free();
    }
}

static void *hold_for_ever(void *unused)
{
    CHECK(owned_lock_take(&lock));
    atomic_store(&is_held, 1);
    return unused;
}

static void *recover_foreign(void *unused)
{
    owned_lock_recover(&lock);
    return unused;
}

static void check_lost_holder(void)
{
    pthread_t thread, other;
    CHECK_EQUAL(pthread_create(&thread, NULL, hold_for_ever, NULL), 0);
    CHECK_EQUAL(pthread_join(thread, NULL), 0);
    CHECK(atomic_load(&is_held));
    CHECK_EQUAL(pthread_create(&other, NULL, recover_foreign, NULL), 0);
    CHECK_EQUAL(pthread_join(other, NULL), 0);
    CHECK(lock.word != 0);
    CHECK(!owned_lock_take(&lock));
    CHECK_EQUAL(lock.is_stalled, 1);
    for (int i = 0; i < 1000; i++) /* would take an hour */
        CHECK(!owned_lock_take(&lock));
    owned_lock_reset(&lock);
    CHECK(owned_lock_take(&lock));
    owned_lock_release(&lock);
}

int main(void)
{
    capture_fixture_begin();
    check_threads();
    check_again();
    check_recovered();
    check_lost_holder();
    return 0;
}
