/* What the recorder knows of one thread of the target, private to the target; its shared half is struct session_thread.
 *
 * Reached through one initial-exec TLS pointer that is never NULL: a thread that is not registered yet, or must not record, points to a
 * static state whose `busy` is set, so that the hot path asks one question only (recorder.h).
 * Only the owning thread touches its state, except at fork and when a slot is handed on. */
#ifndef HEAPLINE_CAPTURE_THREAD_STATE_H
#define HEAPLINE_CAPTURE_THREAD_STATE_H

#include <stdint.h>

#include "compiler.h"
#include "session.h"

struct python_walk; /* python_stack.c: the shadow of this thread's last Python stack */
struct native_walk; /* the same for native frames */

struct thread_state {
    /* hot: one cache line */
    alignas(CACHE_LINE_BYTES) uint64_t *cursor; /* where the next word goes */
    uint64_t *limit;            /* beyond it: recorder_prepare looks for room */
    uint64_t order;             /* the order word under which this thread may append without asking */
    struct session_thread *shared;
    uint32_t busy;              /* enum thread_busy: why no event may be recorded right now; 0: go ahead */
    uint32_t stamping;          /* events carry a STAMP: the epoch is a parallel one */
    uint32_t in_allocator;      /* depth of real allocator calls whose inner mmap, memcpy … must not count */
    uint32_t object_depth;      /* > 0: inside CPython's object allocator, called through our hook */
    uint64_t object_size;       /* what that hook was asked for: the malloc that serves it must not count again */

    /* cold */
    uint64_t *ring, *ring_end;
    uint64_t pthread_id;        /* pthread_self(): what CPython keeps as thread_id */
    uint32_t kernel_id;
    uint32_t slot;
    uint32_t events_since_claim, hurried_claims; /* decide when to go parallel */
    uint32_t key_rounds;        /* destructor rounds seen (thread_exit in thread_state.c) */
    uintptr_t busy_stack;       /* the stack pointer when busy was set: tells a stale flag after a longjmp */
    struct python_walk *python;
    struct native_walk *native;
    struct thread_state *next;  /* all states of this process, newest first */
};

enum thread_busy {
    THREAD_READY = 0,
    THREAD_RECORDING = 1,    /* an event is being written: another one now (signal handler) is counted as lost */
    THREAD_INTERNAL = 2,     /* the recorder's own doings: not the target's events, not counted */
    THREAD_UNREGISTERED = 3, /* the static state of threads without one of their own */
};

extern TLS_FAST struct thread_state *current_thread;

#endif
