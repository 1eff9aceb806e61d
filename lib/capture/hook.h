/* What every allocation hook does around the real call: one place for the order "deallocation before it, allocation after it", and for the
 * rule that a block which two functions see (operator new and its malloc, PyObject_Malloc and its malloc) counts once. */
#ifndef HEAPLINE_CAPTURE_HOOK_H
#define HEAPLINE_CAPTURE_HOOK_H

#include "event_words.h"
#include "new_hooks.h"
#include "python_attach.h"
#include "real.h"
#include "recorder.h"
#include "sampling.h"
#include "stacks.h"

#define RETURN_ADDRESS __builtin_return_address(0)

/* CPython's debug hooks put at most so much around an object. */
#define OBJECT_OVERHEAD_BYTES 64

/* Is this the block that an outer hook of this thread was asked for, and records? */
HOT_INLINE int serves_object(const struct thread_state *thread, uint64_t size)
{
    return unlikely(thread->object_request != OBJECT_NONE) && size + 1 - thread->object_request <= OBJECT_OVERHEAD_BYTES;
}

/* Is this the block that an outer hook of this thread is giving up, and has recorded? Once for each: nothing says when the allocator is done
 * with an object. The mark of one that needed no free stays until the next, in memory that is the allocator's: it can't be another block's
 * before that has been unmapped, which takes the mark away (thread_registry_forget). */
HOT_INLINE int releases_object(struct thread_state *thread, const void *block)
{
    if (likely(thread->object_address - (uintptr_t)block > OBJECT_OVERHEAD_BYTES))
        return 0;
    thread->object_address = 0;
    return 1;
}

/* Are the bytes that a realloc moves to be counted? */
HOT_INLINE int hook_copies_wanted(void)
{
    return (recorder_session->flags & SESSION_COPIES) != 0;
}

/* Before a block is recorded: where only some are, it must be known again. Returns 0: no memory for that. */
HOT_INLINE int hook_may_record(const void *block)
{
    return likely(!recorder_filter) || sampling_add(block);
}

/* A realloc has failed: the old block, whose deallocation is recorded, is live again. */
static inline void hook_restore(struct thread_state *thread, const void *old)
{
    recorder_free(thread, EVENT_REALLOC_FAILED, old);
    hook_may_record(old);
}

/* What may have to be recorded. NULL blocks are no events. */
void *hook_record_allocation(void *block, uint64_t size, const void *return_address);
HOT_INLINE void hook_record_deallocation(const void *block, int is_sampled)
{
    struct thread_state *thread = likely(block) ? recorder_enter() : NULL;
    if (unlikely(!thread))
        return;
    if (likely(!releases_object(thread, block)) && (!is_sampled || sampling_remove(block)))
        recorder_free(thread, EVENT_FREE, block);
    recorder_leave(thread);
}

/* Is there nothing to record of an allocation of this size? One test where everything is recorded. */
HOT_INLINE int hook_allocation_passes(struct thread_state *thread, uint64_t size)
{
    if (likely(size >= thread->sample_left))
        return 0;
    if (unlikely(thread->busy))
        return recorder_rests(thread);
    if (unlikely(python_attached)) /* every malloc looks after Python's hooks; hardly any of its objects comes here */
        return 0;
    thread->sample_left -= size;
    return 1;
}

/* After the real allocation; returns the block. */
HOT_INLINE void *hook_allocated(void *block, uint64_t size, const void *return_address)
{
    return hook_allocation_passes(current_thread, size) ? block : hook_record_allocation(block, size, return_address);
}

enum hook_way { HOOK_PASSES, HOOK_RECORDS, HOOK_SAMPLES };

/* What is to be done before a deallocation: nothing, or hook_record_deallocation of a block that was recorded, or that may have been sampled. */
HOT_INLINE enum hook_way hook_deallocation_way(const void *block)
{
    if (unlikely(recorder_filter))
        return sampling_may_know(block) ? HOOK_SAMPLES : HOOK_PASSES;
    return recorder_rests(current_thread) ? HOOK_PASSES : HOOK_RECORDS;
}

/* Records, then frees: once a block is freed another thread may be given its address. */
void hook_free_recorded(void *block);
void hook_free_sampled(void *block);

HOT_INLINE void hook_free(void *block)
{
    switch (hook_deallocation_way(block)) {
    case HOOK_PASSES: real.free(block); break;
    case HOOK_RECORDS: hook_free_recorded(block); break;
    case HOOK_SAMPLES: hook_free_sampled(block); break;
    }
}

#endif
