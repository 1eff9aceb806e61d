/* A lock that survives its holder: a signal handler may interrupt the hook that holds it, and allocate, fork, or jump away for good.
 *
 * Blocking signals around it would take two system calls for each new stack. Instead the lock knows which thread holds it:
 *   the same thread comes again    it has interrupted itself (thread_state.busy kept its events out, but a fork, or a thread that had no state
 *                                  yet, may come here). It goes on without taking the lock: nobody else is in, and what it has interrupted
 *                                  goes on only afterwards.
 *   the hook has been jumped out of  the thread's next hook finds its stale flag (recorder_admit), and gives the lock back.
 *   it never comes back            others wait for so long only, and then do without: what they wanted to say is counted as lost.
 * What it guards must be in order after every single store, or lack no more than the newest entry.
 * A word and a futex, as lock.h. Any thread; keeps errno; never allocates. A forked child resets it. */
#ifndef HEAPLINE_CAPTURE_OWNED_LOCK_H
#define HEAPLINE_CAPTURE_OWNED_LOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct owned_lock {
    _Atomic uint32_t word;       /* the holder's kernel thread id, shifted left; the lowest bit: somebody waits. 0: free */
    uint32_t nested_holds;       /* the holder's own, beside the one that counts */
    _Atomic uint32_t is_stalled; /* somebody has waited in vain: nobody waits until it has been taken again */
};

/* Returns 1, or 0: it can't be had. */
int owned_lock_take(struct owned_lock *lock);
void owned_lock_release(struct owned_lock *lock);
/* What the calling thread was doing when it took it, if it holds it, will never be gone on with. */
void owned_lock_recover(struct owned_lock *lock);
void owned_lock_reset(struct owned_lock *lock);

#endif
