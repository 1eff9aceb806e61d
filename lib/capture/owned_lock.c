/* See owned_lock.h. */
#include "owned_lock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "compiler.h"
#include "futex.h"
#include "thread_state.h"

#define WAITED 1u
/* A holder may itself wait for the collector, for two seconds. */
#define WAIT_TOTAL_NS (3 * 1000000000ull)
#define WAIT_SLICE_NS 10000000ull

static uint32_t own_id(void)
{
    const struct thread_state *thread = current_thread;
    if (likely(thread_is_registered(thread) && thread->kernel_id))
        return thread->kernel_id;
    return (uint32_t)syscall(SYS_gettid);
}

static int try_take(struct owned_lock *lock, uint32_t word)
{
    uint32_t seen = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &seen, word, memory_order_acquire, memory_order_relaxed);
}

/* Whoever has waited doesn't know whether others do. */
COLD static int wait(struct owned_lock *lock, uint32_t id)
{
    uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + WAIT_TOTAL_NS;
    while (!atomic_load_explicit(&lock->is_stalled, memory_order_relaxed)) {
        uint32_t seen = atomic_load_explicit(&lock->word, memory_order_relaxed);
        if (!seen && try_take(lock, id << 1 | WAITED))
            return 1;
        if (clock_ns(CLOCK_MONOTONIC) >= deadline) {
            atomic_store_explicit(&lock->is_stalled, 1, memory_order_relaxed);
            return 0;
        }
        if (seen && (seen & WAITED || atomic_compare_exchange_strong_explicit(&lock->word, &seen, seen | WAITED, memory_order_relaxed,
                                                                              memory_order_relaxed)))
            futex_wait(&lock->word, seen | WAITED, WAIT_SLICE_NS);
    }
    return try_take(lock, id << 1);
}

int owned_lock_take(struct owned_lock *lock)
{
    int saved_errno = errno, taken = 1;
    uint32_t id = own_id();
    if (likely(try_take(lock, id << 1)))
        ;
    else if (atomic_load_explicit(&lock->word, memory_order_relaxed) >> 1 == id)
        lock->nested_holds++;
    else
        taken = wait(lock, id);
    if (taken && unlikely(atomic_load_explicit(&lock->is_stalled, memory_order_relaxed)))
        atomic_store_explicit(&lock->is_stalled, 0, memory_order_relaxed);
    errno = saved_errno;
    return taken;
}

static void give_back(struct owned_lock *lock)
{
    if (unlikely(atomic_exchange_explicit(&lock->word, 0, memory_order_release) & WAITED))
        futex_wake(&lock->word, 1);
}

void owned_lock_release(struct owned_lock *lock)
{
    int saved_errno = errno;
    if (unlikely(lock->nested_holds))
        lock->nested_holds--;
    else
        give_back(lock);
    errno = saved_errno;
}

void owned_lock_recover(struct owned_lock *lock)
{
    int saved_errno = errno;
    if (atomic_load_explicit(&lock->word, memory_order_relaxed) >> 1 == own_id()) {
        lock->nested_holds = 0;
        give_back(lock);
    }
    errno = saved_errno;
}

void owned_lock_reset(struct owned_lock *lock)
{
    lock->nested_holds = 0;
    atomic_store_explicit(&lock->is_stalled, 0, memory_order_relaxed);
    atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
}
