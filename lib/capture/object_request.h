/* What every hook of CPython's object memory does around the allocator below it, and the events that come of it: for object_hooks.c, where
 * everything is recorded, and object_samples.c.
 *
 * While the allocator below works, thread->object_request and object_address tell the malloc hooks what for: the malloc that serves the very
 * object must not count again, pymalloc's arenas and tables must. */
#ifndef HEAPLINE_CAPTURE_OBJECT_REQUEST_H
#define HEAPLINE_CAPTURE_OBJECT_REQUEST_H

#include <stdint.h>

#include "hook.h"
#include "pymalloc.h"
#include "python_api.h"
#include "python_walk.h"

struct layer {
    struct python_allocator below;
    int domain; /* enum python_domain */
    int leaves_releases; /* the allocator's own free is in place: see object_samples.c */
};

/* ---- around the allocator below ---- */

/* A hook within a hook: the outermost one records. Or the thread is not registered yet, or interrupted while it records. */
COLD static struct thread_state *admit(struct thread_state *thread, uintptr_t frame)
{
    if (thread->object_request)
        return NULL;
    thread = recorder_admit(thread, frame);
    if (thread)
        recorder_leave(thread);
    return thread;
}

/* The thread, when this request is to be recorded. */
HOT_INLINE struct thread_state *thread_to_record(void)
{
    struct thread_state *thread = current_thread;
    if (likely(!thread->busy && !thread->object_request))
        return thread;
    return recorder_rests(thread) ? NULL : admit(thread, HOOK_FRAME);
}

HOT_INLINE void begin_request(struct thread_state *thread, uint64_t request)
{
    thread->object_request = request;
    atomic_signal_fence(memory_order_seq_cst);
}

HOT_INLINE void end_request(struct thread_state *thread)
{
    atomic_signal_fence(memory_order_seq_cst);
    thread->object_request = OBJECT_NONE;
}

HOT_INLINE void *malloc_below(struct thread_state *thread, const struct layer *layer, size_t size)
{
    begin_request(thread, size + 1);
    void *object = layer->below.malloc(layer->below.context, size);
    end_request(thread);
    return object;
}

HOT_INLINE void *calloc_below(struct thread_state *thread, const struct layer *layer, size_t count, size_t size)
{
    begin_request(thread, count * size + 1);
    void *object = layer->below.calloc(layer->below.context, count, size);
    end_request(thread);
    return object;
}

HOT_INLINE void *realloc_below(struct thread_state *thread, const struct layer *layer, void *old, size_t size)
{
    begin_request(thread, size + 1);
    thread->object_address = (uintptr_t)old;
    void *object = layer->below.realloc(layer->below.context, old, size);
    thread->object_address = 0;
    end_request(thread);
    return object;
}

HOT_INLINE void free_below(struct thread_state *thread, const struct layer *layer, void *object)
{
    begin_request(thread, OBJECT_RELEASES);
    thread->object_address = (uintptr_t)object;
    layer->below.free(layer->below.context, object);
    thread->object_address = 0;
    end_request(thread);
}

/* `is_sampled` is a constant wherever it is passed on: each function that CPython calls exists twice, and asks nothing about samples where
 * everything is recorded. */
HOT_INLINE void record_object(unsigned opcode, const void *object, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return;
    if (!is_sampled || sampling_add(object))
        recorder_allocate(thread, opcode, object, size, stack_of_object_hook(thread, return_address));
    recorder_leave(thread);
}

/* A realloc whose new block is not sampled. */
COLD static void record_passed(const void *object, size_t size, const void *return_address)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    recorder_reallocation_passed(thread, object, size, hook_copies_wanted() ? stack_of_object_hook(thread, return_address) : 0);
    recorder_leave(thread);
}

/* By the thread that may record. 1: the object is one of those that are recorded. */
HOT_INLINE int record_release(struct thread_state *thread, unsigned opcode, const void *object, int is_sampled)
{
    recorder_enter_as(thread);
    int known = !is_sampled || sampling_ends(object);
    if (known)
        recorder_free(thread, opcode, object);
    recorder_leave(thread);
    return known;
}

COLD static void record_failure(const void *old)
{
    struct thread_state *thread = recorder_enter();
    if (!thread)
        return;
    hook_restore(thread, old);
    recorder_leave(thread);
}

/* Beforehand: the malloc that serves the object passes over points, too. */
HOT_INLINE int takes(struct thread_state *thread, uint64_t size, int is_sampled)
{
    return !is_sampled || sampling_takes(thread, &thread->sample_left, size);
}

/* What the allocator below is asked for, where the object is to be recorded: with releases left to it, it must be one of libc's blocks. */
HOT_INLINE size_t size_below(const struct layer *layer, size_t size, int taken, int is_sampled)
{
    return is_sampled && taken && layer->leaves_releases && size <= PYMALLOC_MAX_BYTES ? PYMALLOC_MAX_BYTES + 1 : size;
}

/* ---- what CPython asks for ---- */

HOT_INLINE void *do_malloc(const struct layer *layer, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.malloc(layer->below.context, size);
    int taken = takes(thread, size, is_sampled);
    void *object = malloc_below(thread, layer, size_below(layer, size, taken, is_sampled));
    if (taken && likely(object != NULL))
        record_object(EVENT_ALLOCATE_OBJECT, object, size, return_address, is_sampled);
    return object;
}

HOT_INLINE void *do_calloc(const struct layer *layer, size_t count, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.calloc(layer->below.context, count, size);
    int taken = takes(thread, count * size, is_sampled);
    size_t bytes = size_below(layer, count * size, taken, is_sampled);
    void *object = bytes == count * size ? calloc_below(thread, layer, count, size) : calloc_below(thread, layer, 1, bytes);
    if (taken && likely(object != NULL)) /* then the product did not overflow */
        record_object(EVENT_ALLOCATE_OBJECT, object, count * size, return_address, is_sampled);
    return object;
}

HOT_INLINE void *do_realloc(const struct layer *layer, void *old, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.realloc(layer->below.context, old, size);
    int taken = takes(thread, size, is_sampled), known = old && record_release(thread, EVENT_REALLOC_BEGIN, old, is_sampled);
    void *object = realloc_below(thread, layer, old, size_below(layer, size, taken, is_sampled));
    if (unlikely(!object)) {
        if (known)
            record_failure(old);
    } else if (taken) {
        record_object(old ? EVENT_REALLOC_END_OBJECT : EVENT_ALLOCATE_OBJECT, object, size, return_address, is_sampled);
    } else if (known) {
        record_passed(object, size, return_address);
    }
    return object;
}

/* Recorded before it happens: afterwards another thread may already have got the address. */
HOT_INLINE void do_free(const struct layer *layer, void *object, int is_sampled)
{
    struct thread_state *thread = object ? thread_to_record() : NULL;
    if (unlikely(!thread)) {
        layer->below.free(layer->below.context, object);
        return;
    }
    record_release(thread, EVENT_FREE, object, is_sampled);
    free_below(thread, layer, object);
}

#endif
