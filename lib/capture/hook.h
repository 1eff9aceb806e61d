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

/* After the real allocation. NULL blocks are no events. */
HOT_INLINE void hook_allocated(const void *block, uint64_t size, const void *return_address)
{
    if (unlikely(!block))
        return;
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return;
    if (unlikely(python_attached))
        python_attach_check();
    if (unlikely(thread->new_caller))
        return_address = new_hooks_caller(thread, return_address);
    if (likely(!serves_object(thread, size)))
        recorder_allocate(thread, EVENT_ALLOCATE, block, size, stack_of_native_hook(thread, return_address));
    recorder_leave(thread);
}

/* Before the real deallocation: once it is done, another thread may be given the address. */
HOT_INLINE void hook_freeing(const void *block)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return;
    if (likely(!releases_object(thread, block)))
        recorder_free(thread, EVENT_FREE, block);
    recorder_leave(thread);
}

#endif
