/* What the recorder knows of one thread of the target, private to the target; its shared half is struct session_thread.
 *
 * Reached through one initial-exec TLS pointer that is never NULL: a thread that is not registered yet, or must not record, points to a
 * static state whose `busy` is set, so that the hot path asks one question only (recorder.h).
 * Only the owning thread touches its state, except at fork and when a slot is handed on. */
#ifndef HEAPLINE_CAPTURE_THREAD_STATE_H
#define HEAPLINE_CAPTURE_THREAD_STATE_H

#include <stdint.h>

#include "compiler.h"
#include "pages.h"
#include "session.h"

struct python_walk; /* python_stack.c: the shadow of this thread's last Python stack */
struct native_walk; /* return addresses this thread has been called from (native_stack.c) */
struct native_unwinder; /* what full native stacks are made with (native_unwind.c) */

struct thread_state {
    /* hot: one cache line. Places in the ring are word offsets from the session's start, as in struct session_thread */
    alignas(CACHE_LINE_BYTES) uint64_t cursor; /* where the next word goes */
    uint64_t limit;             /* beyond it: recorder_prepare looks for room */
    struct session_thread *shared;
    uintptr_t busy;             /* enum thread_busy, or the frame address of the hook that is recording; 0: go ahead */
    uint64_t object_request;    /* inside CPython's object allocator, called through our hook, which records the block of one byte less:
                                   the malloc that serves it must not count again; or OBJECT_RELEASES; 0: not inside */
    uintptr_t object_address;   /* recorded as given up: the free that serves it must not count again; 0: none (hook.h) */
    struct python_walk *hashed; /* `python`, where stacks are looked for by their hash first; else NULL */
    uint64_t sample_left;       /* allocations that are smaller pass, and make it smaller; 0: every one is recorded */
    /* hardly less */
    uint64_t pthread_id;        /* pthread_self(): what CPython keeps as thread_id */
    const void *new_caller;     /* who called the operator new that is running; NULL: none */
    uint64_t copy_left;         /* as sample_left, for copies */

    /* cold */
    uint64_t order;             /* the order word under which this thread may append without asking (thread_orders) */
    uint64_t ring, ring_end;
    uint64_t claim_cursor;      /* where the current claim began: a claim that was lost after a few words was a hurried one */
    uint32_t stamping;          /* events carry a STAMP: the epoch is a parallel one */
    uint32_t kernel_id;
    uint32_t slot;
    uint32_t stacks_until_check; /* native ones, until the next self-check (native_check.h) */
    uint32_t hurried_claims;    /* in a row: decide when to go parallel */
    uint64_t random;            /* sampling.c */
    uint64_t sampling_interval_bytes; /* by which this thread decides; 0: all is recorded */
    uint64_t sample_rest, copy_rest;  /* of the way to the next points, behind sample_left and copy_left */
    uint32_t must_tell_sampling; /* the ring doesn't say so yet */
    uint32_t exit_rounds;       /* destructor rounds seen (thread_state.c) */
    _Atomic uint32_t retiring;  /* the last destructor round is over: the slot may be taken once the kernel's thread is gone */
    uint64_t previous_ring;     /* 0: none. Left by a JUMP: free once the collector has drained past it */
    uint32_t previous_ring_words;
    struct python_walk *python;
    struct native_walk *native;
    struct native_unwinder *unwinder;
    struct thread_state *next;  /* all states of this process, newest first */
};

enum thread_busy {
    THREAD_READY = 0,
    THREAD_INTERNAL = 1,     /* the recorder's own doings: not the target's events, not counted */
    THREAD_UNREGISTERED = 2, /* the static state of threads without one of their own */
    THREAD_RESTING = 3,      /* the static state of all threads that have noticed that nothing is to be recorded */
    THREAD_CHANGING = 4,     /* … that another sampling interval is wanted: the next hook sees to it before it decides anything */
    THREAD_FOLLOWING = 5,    /* in a state of its own, set by another thread: the same */
    THREAD_BUSY_FRAMES = 4096, /* larger values: an event is being written; another one now (signal handler) is counted as lost */
};

/* thread_state.object_request: other values are a size and one byte. */
#define OBJECT_NONE 0ull
#define OBJECT_RELEASES (1ull << 62)

/* What an event asks: has the session's order word still the value under which this thread may append? Far behind its state, on a page that
 * the kernel empties in a child that was forked by a raw system call: such a child never finds the order it expects. The static states have
 * none, and are busy. */
struct thread_orders {
    alignas(CACHE_LINE_BYTES) uint64_t plain; /* 0: events carry a STAMP, or none may be appended */
    uint64_t stamping;                        /* 0: they carry none, or none may be appended */
};

#define THREAD_ORDERS_OFFSET ((64u << 10) + PLACE_ORDERS - PLACE_THREAD) /* another page, whatever the pages are */
#define THREAD_STATE_BYTES (THREAD_ORDERS_OFFSET + sizeof(struct thread_orders))

HOT_INLINE struct thread_orders *thread_orders(struct thread_state *thread)
{
    return (struct thread_orders *)((char *)thread + THREAD_ORDERS_OFFSET);
}

HOT_INLINE void thread_set_order(struct thread_state *thread, uint64_t order, uint32_t stamping)
{
    thread->order = order;
    thread->stamping = stamping;
    *thread_orders(thread) = (struct thread_orders){stamping ? 0 : order, stamping ? order : 0};
}

INTERNAL TLS_FAST struct thread_state *current_thread;

/* A state that only the calling thread uses, not one of the static ones? */
HOT_INLINE int thread_is_registered(const struct thread_state *thread)
{
    return thread->busy != THREAD_UNREGISTERED && thread->busy != THREAD_RESTING && thread->busy != THREAD_CHANGING;
}

#endif
