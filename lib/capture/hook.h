/* What every allocation hook does around the real call: one place for the order "deallocation before it, allocation after it", and for the
 * rule that a block which two functions see (operator new and its malloc, PyObject_Malloc and its malloc) counts once. */
#ifndef HEAPLINE_CAPTURE_HOOK_H
#define HEAPLINE_CAPTURE_HOOK_H

#include "event_words.h"
#include "new_hooks.h"
#include "python_attach.h"
#include "real.h"
#include "recorder.h"
#include "stacks.h"

#define RETURN_ADDRESS __builtin_return_address(0)

/* CPython's debug hooks put at most so much around an object. */
#define OBJECT_OVERHEAD_BYTES 64

/* Is this the block that an outer hook of this thread was asked for, and records? */
HOT_INLINE int serves_object(const struct thread_state *thread, uint64_t size)
{
    return unlikely(thread->object_depth) && size - thread->object_size <= OBJECT_OVERHEAD_BYTES;
}

/* Is this the block that an outer hook of this thread is giving up, and has recorded? */
HOT_INLINE int releases_object(const struct thread_state *thread, const void *block)
{
    return unlikely(thread->object_depth) && thread->object_address - (uintptr_t)block <= OBJECT_OVERHEAD_BYTES;
}

/* What may have to be recorded. `frame` is the hook's; NULL blocks are no events. */
void *hook_record_allocation(void *block, uint64_t size, const void *return_address, uintptr_t frame);
HOT_INLINE void hook_record_deallocation(const void *block, uintptr_t frame)
{
    struct thread_state *thread = likely(block) ? recorder_enter_from(frame) : NULL;
    if (unlikely(!thread))
        return;
    if (likely(!releases_object(thread, block)))
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
    thread->sample_left -= size;
    return 1;
}

/* After the real allocation; returns the block. A tail call is all that follows, so that a hook that lets a block pass saves no registers. */
HOT_INLINE void *hook_allocated(void *block, uint64_t size, const void *return_address)
{
    return hook_allocation_passes(current_thread, size) ? block : hook_record_allocation(block, size, return_address, HOOK_FRAME);
}

/* Is there nothing to record of a deallocation? */
HOT_INLINE int hook_deallocation_passes(void)
{
    return recorder_rests(current_thread);
}

#endif
