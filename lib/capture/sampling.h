/* Poisson sampling: which allocations and copies are recorded where not all are.
 *
 * Every byte that a thread allocates is a sampling point with the same small probability, 1 / interval; a block that holds one is recorded, so a
 * block of `size` bytes is with probability 1 - exp(-size / interval). The distance to the next point is drawn beforehand and counted down
 * (thread->sample_left): a block that ends before it costs a subtraction. Copies have points of their own (copy_left). The process forgets its
 * past, so what is subtracted for a block that doesn't count (one that serves an object, one that failed) changes no probability.
 * A block of no bytes is never sampled. Without an interval everything is taken.
 *
 * The addresses of the sampled blocks that are live are kept, so that their deallocations are recorded and no others. In front of that table,
 * two filters answer nearly always: are there sampled blocks with these bits in their addresses, and how many. The first one is asked at every
 * deallocation, so it must stay in the innermost cache, and is a bit for each; the second one for what the first one can't tell, where many
 * blocks are sampled.
 * Distances: each thread for itself. Addresses: any thread, one lock, with busy set. Never allocates from the target's heap.
 *
 * The interval may change while the program runs; each thread follows at the beginning of a hook (recorder.c). For that it looks up at every
 * event, and after some bytes on the way to its next point. From a first recording of
 * everything on, blocks are live whose addresses are not in the table: every deallocation is recorded then, also of blocks that never were,
 * which the collector leaves out. */
#ifndef HEAPLINE_CAPTURE_SAMPLING_H
#define HEAPLINE_CAPTURE_SAMPLING_H

#include <stdatomic.h>

#include "compiler.h"
#include "thread_state.h"

#define SAMPLING_FILTER_BITS 15 /* 4 KiB */
#define SAMPLING_SECOND_BITS 20
#define SAMPLING_LOOK_BYTES (64u << 10)

/* The first one; NULL: everything is recorded. */
INTERNAL _Atomic uint32_t *recorder_filter;

/* The session has begun. */
void sampling_start(void);
/* A new thread: its first distances, by the interval that the session began with. */
void sampling_begin_thread(struct thread_state *thread);
/* Hooks that begin from here on ask whether they take what they see. With busy set. */
COLD void sampling_open(void);
/* Another interval from here on; 0: all is recorded. Before the hook that sets busy has decided anything. */
COLD void sampling_change(struct thread_state *thread, uint64_t interval_bytes);

/* To the next point, from 1; 0 where all is recorded. */
COLD uint64_t sampling_draw(struct thread_state *thread);

/* The same, where `*left` of them have been counted down, which need not be all there are to the point. */
COLD int sampling_reach(struct thread_state *thread, uint64_t *left, uint64_t bytes);

/* Does a point lie in the next so many bytes? Passes over them. `left`: &thread->sample_left or &thread->copy_left. */
HOT_INLINE int sampling_takes(struct thread_state *thread, uint64_t *left, uint64_t bytes)
{
    if (likely(!recorder_filter))
        return 1;
    if (likely(bytes < *left)) {
        *left -= bytes;
        return 0;
    }
    return sampling_reach(thread, left, bytes);
}

/* Keep the address of a sampled block. Returns 0: no memory, it can't be recorded. */
COLD int sampling_add(const void *block);
/* Returns 1: a sampled block was there, and is forgotten. */
COLD int sampling_remove(const void *block);

/* Blocks that lie side by side have their bits side by side: what is hot in the heap is hot here. */
HOT_INLINE uint32_t sampling_bit(uint64_t address)
{
    return (uint32_t)(address >> 4) & ((1u << SAMPLING_FILTER_BITS) - 1);
}

/* Where a filter is: might this be a sampled block? */
HOT_INLINE int sampling_may_know(const void *block)
{
    uint32_t bit = sampling_bit((uintptr_t)block);
    return unlikely(atomic_load_explicit(&recorder_filter[bit / 32], memory_order_relaxed) >> bit % 32 & 1);
}

/* Is the deallocation of this block to be recorded? Asked once. */
HOT_INLINE int sampling_ends(const void *block)
{
    return likely(!recorder_filter) || (sampling_may_know(block) && sampling_remove(block));
}

/* Are all deallocations recorded from now on, or those of sampled blocks? */
int sampling_wants_all_ends(void);

/* Around a fork: keep the table still. Not from within a hook. */
int sampling_lock(void);
void sampling_unlock(void);
void sampling_after_fork(void); /* in the child */
/* The hook that the calling thread was in has been jumped out of. */
void sampling_recover(void);

#endif
