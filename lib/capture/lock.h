/* A lock for the recorder's cold paths (first sight of a code object, a stack, a module, a thread; ring growth).
 * A word and a futex: no libc state, usable inside malloc and before constructors. Not recursive: whoever may be entered by a
 * signal handler while holding it must have thread_state.busy set, so that the handler's events don't come here. Keeps errno: the
 * program may be between a call that failed and its look at why.
 * A forked child resets every lock with lock_reset: its other threads, which may have held them, are gone. */
#ifndef HEAPLINE_CAPTURE_LOCK_H
#define HEAPLINE_CAPTURE_LOCK_H

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compiler.h"

struct lock {
    _Atomic uint32_t state; /* 0 free, 1 held, 2 held and waited for */
};

static inline void lock_futex(struct lock *lock, int operation, uint32_t value)
{
    int saved_errno = errno;
    syscall(SYS_futex, &lock->state, operation, value, NULL, NULL, 0);
    errno = saved_errno;
}

static inline void lock_take(struct lock *lock)
{
    uint32_t seen = 0;
    if (likely(atomic_compare_exchange_strong_explicit(&lock->state, &seen, 1, memory_order_acquire, memory_order_relaxed)))
        return;
    while (atomic_exchange_explicit(&lock->state, 2, memory_order_acquire) != 0)
        lock_futex(lock, FUTEX_WAIT_PRIVATE, 2);
}

static inline void lock_release(struct lock *lock)
{
    if (unlikely(atomic_exchange_explicit(&lock->state, 0, memory_order_release) == 2))
        lock_futex(lock, FUTEX_WAKE_PRIVATE, 1);
}

static inline void lock_reset(struct lock *lock)
{
    atomic_store_explicit(&lock->state, 0, memory_order_relaxed);
}

#endif
