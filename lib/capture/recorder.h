/* The hot path: append an event to this thread's ring.
 *
 * Budget: 11 ns a malloc and free pair on top of a pass-through preload, stack capture not included.
 *
 *     struct thread_state *thread = recorder_enter();
 *     if (thread) {
 *         stack = stack_of_native_hook(thread, return_address);
 *         recorder_allocate(thread, EVENT_ALLOCATE, address, size, stack);
 *         recorder_leave(thread);
 *     }
 *
 * A deallocation is recorded before the real free, an allocation after the real malloc: between the two another thread may get the address.
 * Keeps errno. Never allocates, never calls into libc except futex and gettid system calls on cold paths. */
#ifndef HEAPLINE_CAPTURE_RECORDER_H
#define HEAPLINE_CAPTURE_RECORDER_H

#include "clock.h"
#include "compiler.h"
#include "event_words.h"
#include "session.h"
#include "thread_state.h"

/* The session of this process; NULL before the constructor and where recording is impossible. */
INTERNAL struct session_header *recorder_session;

/* Requests that the recorder itself made of the target's allocator, by way of its own hooks: not recorded. */
INTERNAL _Atomic uint64_t recorder_own_requests;

/* 1: the process is paused, as a thread of it has noticed, and none has noticed otherwise since: for hooks that are called so often that they
 * ask nothing else. Allocations find out when recording goes on. */
INTERNAL _Atomic uint32_t recorder_is_quiet;

/* RECORDER_MARK in the process that records into recorder_session; in a child that was forked by a raw system call, and so shares our rings
 * but must not write into them, the kernel has emptied it (MADV_WIPEONFORK, Linux 4.14), as it has thread_orders: an unknown child never finds
 * the order it expects, asks here, and no event asks the kernel who it is, which a confined program (seccomp) may not do. */
#define RECORDER_MARK 1ull
INTERNAL const uint64_t *recorder_mark;

/* Cold halves. recorder_admit: busy was set: register the thread, wake it, or count what is lost; NULL: don't record. `frame`: the hook's.
 * recorder_prepare: the order word changed or the ring is full: claim an epoch, find room; 0: nothing is to be recorded, and the thread
 * rests from now on; or the event is dropped and counted. */
COLD struct thread_state *recorder_admit(struct thread_state *thread, uintptr_t frame);
/* When what this hook does has been decided: does the process want another sampling interval than this thread has? Then it follows. */
COLD void recorder_notice_sampling(struct thread_state *thread);
/* Recording is about to begin again, with no hook in place: threads that sample otherwise than is wanted follow with their next hook. */
COLD void recorder_follow_sampling(void);
COLD int recorder_prepare(struct thread_state *thread);
/* Set the mark: this process is the one that records into recorder_session. From the start, and in a forked child that has a session of its own. */
COLD void recorder_mark_process(void);
/* The collector is gone: record nothing more in this process. */
COLD void recorder_stop(void);

HOT_INLINE int recorder_is_paused(void)
{
    return ORDER_OWNER(atomic_load_explicit(&recorder_session->order, memory_order_relaxed)) == ORDER_PAUSED;
}

/* Nothing is to be recorded, and this thread knows it already: the way out of a paused program's hooks. */
HOT_INLINE int recorder_rests(const struct thread_state *thread)
{
    return thread->busy == THREAD_RESTING && recorder_is_paused();
}

#define HOOK_FRAME ((uintptr_t)__builtin_frame_address(0))

/* By the current thread that isn't busy. */
HOT_INLINE void recorder_enter_as(struct thread_state *thread)
{
    thread->busy = HOOK_FRAME;
    /* A signal handler on this thread must see the flag before anything that follows. */
    atomic_signal_fence(memory_order_seq_cst);
}

/* The same in a function without a frame pointer, which takes no native stack: what is above its stack pointer will do. */
HOT_INLINE void recorder_enter_quickly(struct thread_state *thread)
{
#ifdef __x86_64__
    __asm__ volatile("mov %%rsp, %0" : "=m"(thread->busy));
    atomic_signal_fence(memory_order_seq_cst);
#else
    recorder_enter_as(thread);
#endif
}

HOT_INLINE struct thread_state *recorder_enter(void)
{
    struct thread_state *thread = current_thread;
    if (unlikely(thread->busy))
        return recorder_rests(thread) ? NULL : recorder_admit(thread, HOOK_FRAME);
    recorder_enter_as(thread);
    return thread;
}

HOT_INLINE void recorder_leave(struct thread_state *thread)
{
    atomic_signal_fence(memory_order_seq_cst);
    thread->busy = THREAD_READY;
}

/* May this thread append without further ado? `session`: recorder_session. */
HOT_INLINE int recorder_is_ready(struct thread_state *thread, struct session_header *session)
{
    return likely(atomic_load_explicit(&session->order, memory_order_relaxed) == thread_orders(thread)->plain) &&
           likely(thread->cursor <= thread->limit);
}

/* Where an event is written. `words` is NULL: it is not to be recorded. */
struct recorder_place {
    uint64_t *words;
    uint64_t cursor;
};

/* Where a thread that is ready writes. */
HOT_INLINE struct recorder_place recorder_place(const struct thread_state *thread, struct session_header *session)
{
    uint64_t *words = session_words(session) + thread->cursor;
    if (!words)
        __builtin_unreachable(); /* the caller need not ask for NULL on this way */
    return (struct recorder_place){words, thread->cursor};
}

/* It may not append, or not without a stamp. Of an event that isn't whole yet thread->cursor says nothing: a child that is forked just now
 * tells the collector how far it is. */
HOT_INLINE struct recorder_place recorder_begin_otherwise(struct thread_state *thread, struct session_header *session, int is_in_order)
{
    if ((atomic_load_explicit(&session->order, memory_order_relaxed) != thread_orders(thread)->stamping || thread->cursor > thread->limit) &&
        !recorder_prepare(thread))
        return (struct recorder_place){NULL, 0};
    struct recorder_place place = recorder_place(thread, session);
    if (thread->stamping) {
        *place.words++ = EVENT_WORD(EVENT_STAMP, is_in_order ? clock_ticks_in_order() : clock_ticks());
        place.cursor++;
    }
    return place;
}

HOT_INLINE struct recorder_place recorder_begin_as(struct thread_state *thread, int is_in_order)
{
    struct session_header *session = recorder_session;
    return recorder_is_ready(thread, session) ? recorder_place(thread, session) : recorder_begin_otherwise(thread, session, is_in_order);
}

HOT_INLINE struct recorder_place recorder_begin(struct thread_state *thread)
{
    return recorder_begin_as(thread, 0);
}

HOT_INLINE void recorder_commit(struct thread_state *thread, struct recorder_place place, unsigned word_count)
{
    thread->cursor = place.cursor + word_count;
    atomic_store_explicit(&thread->shared->cursor, place.cursor + word_count, memory_order_release);
}

/* EVENT_WORD of an address, whose highest byte is none of it: two stores in place of constants of eight bytes. */
HOT_INLINE void recorder_put_address(uint64_t *word, unsigned opcode, uintptr_t address)
{
    *(volatile uint64_t *)word = address;
    ((volatile uint8_t *)word)[EVENT_PAYLOAD_BITS / 8] = (uint8_t)opcode;
}

/* An allocation of less than 4 GiB. */
HOT_INLINE void recorder_put_allocation(struct thread_state *thread, struct recorder_place place, unsigned opcode, const void *address,
                                        uint64_t size, uint32_t stack)
{
    recorder_put_address(place.words, opcode, (uintptr_t)address);
    place.words[1] = EVENT_SIZE_STACK(size, stack);
    recorder_commit(thread, place, 2);
}

/* opcode: EVENT_ALLOCATE, EVENT_ALLOCATE_OBJECT, EVENT_REALLOC_END or EVENT_REALLOC_END_OBJECT; its _BIG form is opcode + 1. */
HOT_INLINE void recorder_allocate(struct thread_state *thread, unsigned opcode, const void *address, uint64_t size, uint32_t stack)
{
    struct recorder_place place = recorder_begin(thread);
    uint64_t *words = place.words;
    if (unlikely(!words))
        return;
    if (likely(!(size >> 32))) {
        recorder_put_allocation(thread, place, opcode, address, size, stack);
    } else {
        recorder_put_address(words, opcode + 1, (uintptr_t)address);
        words[1] = EVENT_SIZE_STACK(0, stack);
        words[2] = size;
        recorder_commit(thread, place, 3);
    }
}

HOT_INLINE void recorder_put_free(struct thread_state *thread, struct recorder_place place, unsigned opcode, const void *address)
{
    recorder_put_address(place.words, opcode, (uintptr_t)address);
    recorder_commit(thread, place, 1);
}

/* opcode: EVENT_FREE, EVENT_REALLOC_BEGIN or EVENT_REALLOC_FAILED. Its stamp is in order: another thread may have allocated the block a moment ago,
 * in the place of one that a third has freed, and must not seem to have done so later. */
HOT_INLINE void recorder_free(struct thread_state *thread, unsigned opcode, const void *address)
{
    struct recorder_place place = recorder_begin_as(thread, 1);
    if (likely(place.words))
        recorder_put_free(thread, place, opcode, address);
}

/* The old block of a realloc was sampled, the new one isn't. */
static inline void recorder_reallocation_passed(struct thread_state *thread, const void *address, uint64_t size, uint32_t stack)
{
    struct recorder_place place = recorder_begin(thread);
    uint64_t *words = place.words;
    if (!words)
        return;
    recorder_put_address(words, EVENT_REALLOC_PASSED, (uintptr_t)address);
    words[1] = stack;
    words[2] = size;
    recorder_commit(thread, place, 3);
}

#endif
