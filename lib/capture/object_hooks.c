/* Consumes CPython's requests for object memory, produces EVENT_*_OBJECT events. Runs in any thread that holds the GIL.
 *
 * While the allocator below works, thread->object_depth, object_size and object_address tell the malloc hooks what for: the malloc that
 * serves the very object must not count again, pymalloc's arenas and tables must. */
#include "object_hooks.h"

#include <stdint.h>
#include <string.h>

#include "hook.h"
#include "python_api.h"

#define MAX_LAYERS 16
#define NO_SIZE (1ull << 63) /* no malloc serves a deallocation */

struct layer {
    struct python_allocator below;
    int domain; /* enum python_domain */
};

static struct layer layers[MAX_LAYERS];
static unsigned layer_count;

/* ---- around the allocator below ---- */

/* A hook within a hook: the outermost one records. Or the thread is not registered yet, or interrupted while it records. */
COLD static struct thread_state *admit(struct thread_state *thread, uintptr_t frame)
{
    if (thread->object_depth)
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
    if (likely(!thread->busy && !thread->object_depth))
        return thread;
    return recorder_rests(thread) ? NULL : admit(thread, HOOK_FRAME);
}

HOT_INLINE void enter_below(struct thread_state *thread, uint64_t size, const void *address)
{
    thread->object_size = size;
    thread->object_address = (uintptr_t)address;
    thread->object_depth = 1;
    atomic_signal_fence(memory_order_seq_cst);
}

HOT_INLINE void leave_below(struct thread_state *thread)
{
    atomic_signal_fence(memory_order_seq_cst);
    thread->object_depth = 0;
    thread->object_address = 0;
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

/* 1: it was to be recorded, and is. */
HOT_INLINE int record_release(unsigned opcode, const void *object, int is_sampled)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return 0;
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

/* ---- what CPython asks for ---- */

HOT_INLINE void *do_malloc(const struct layer *layer, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.malloc(layer->below.context, size);
    int taken = takes(thread, size, is_sampled);
    enter_below(thread, size, NULL);
    void *object = layer->below.malloc(layer->below.context, size);
    leave_below(thread);
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
    enter_below(thread, count * size, NULL);
    void *object = layer->below.calloc(layer->below.context, count, size);
    leave_below(thread);
    if (taken && likely(object != NULL)) /* then the product did not overflow */
        record_object(EVENT_ALLOCATE_OBJECT, object, count * size, return_address, is_sampled);
    return object;
}

HOT_INLINE void *do_realloc(const struct layer *layer, void *old, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.realloc(layer->below.context, old, size);
    int taken = takes(thread, size, is_sampled), known = old && record_release(EVENT_REALLOC_BEGIN, old, is_sampled);
    if (!is_sampled && old && unlikely(!known))
        return layer->below.realloc(layer->below.context, old, size);
    enter_below(thread, size, old);
    void *object = layer->below.realloc(layer->below.context, old, size);
    leave_below(thread);
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
    record_release(EVENT_FREE, object, is_sampled);
    enter_below(thread, NO_SIZE, object);
    layer->below.free(layer->below.context, object);
    leave_below(thread);
}

/* ---- where everything is recorded ---- */

static void *object_malloc(void *context, size_t size)
{
    return do_malloc(context, size, __builtin_return_address(0), 0);
}

static void *object_calloc(void *context, size_t count, size_t size)
{
    return do_calloc(context, count, size, __builtin_return_address(0), 0);
}

static void *object_realloc(void *context, void *old, size_t size)
{
    return do_realloc(context, old, size, __builtin_return_address(0), 0);
}

static void object_free(void *context, void *object)
{
    do_free(context, object, 0);
}

/* ---- where a sample is ---- */

static __attribute__((noinline)) void *take_malloc(const struct layer *layer, size_t size, const void *return_address)
{
    return do_malloc(layer, size, return_address, 1);
}

/* No sampling point in it? `busy` need not be asked for: no signal handler allocates objects, and where all threads rest nothing matters. */
HOT_INLINE int passes(struct thread_state *thread, uint64_t size)
{
    if (unlikely(size >= thread->sample_left || thread->object_depth))
        return 0;
    thread->sample_left -= size;
    return 1;
}

static void *sampled_malloc(void *context, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = current_thread;
    if (unlikely(!passes(thread, size)))
        return take_malloc(layer, size, __builtin_return_address(0));
    thread->object_size = size;
    thread->object_depth = 1;
    atomic_signal_fence(memory_order_seq_cst);
    void *object = layer->below.malloc(layer->below.context, size);
    atomic_signal_fence(memory_order_seq_cst);
    thread->object_depth = 0;
    return object;
}

static void *sampled_calloc(void *context, size_t count, size_t size)
{
    return do_calloc(context, count, size, __builtin_return_address(0), 1);
}

OUTLINED void *take_realloc(const struct layer *layer, void *old, size_t size, const void *return_address)
{
    return do_realloc(layer, old, size, return_address, 1);
}

static void *sampled_realloc(void *context, void *old, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = current_thread;
    if (unlikely(sampling_may_know(old)) || unlikely(!passes(thread, size)))
        return take_realloc(layer, old, size, __builtin_return_address(0));
    enter_below(thread, size, old);
    void *object = layer->below.realloc(layer->below.context, old, size);
    leave_below(thread);
    return object;
}

static __attribute__((noinline)) void take_free(const struct layer *layer, void *object)
{
    do_free(layer, object, 1);
}

static void sampled_free(void *context, void *object)
{
    const struct layer *layer = context;
    /* The free that serves it asks about the same address, and gets the same answer. */
    if (sampling_may_know(object))
        take_free(layer, object);
    else
        layer->below.free(layer->below.context, object);
}

/* ---- installation ---- */

static int same_allocator(const struct python_allocator *a, const struct python_allocator *b)
{
    return a->context == b->context && a->malloc == b->malloc && a->calloc == b->calloc && a->realloc == b->realloc && a->free == b->free;
}

/* A layer over this allocator: the one it had before, if any. NULL: too many. */
static struct layer *layer_over(const struct python_allocator *below, int domain)
{
    for (unsigned i = 0; i < layer_count; i++)
        if (layers[i].domain == domain && same_allocator(&layers[i].below, below))
            return &layers[i];
    if (layer_count == MAX_LAYERS)
        return NULL;
    layers[layer_count] = (struct layer){*below, domain};
    return &layers[layer_count++];
}

static void install(int domain)
{
    struct python_allocator current;
    python_api.get_allocator(domain, &current);
    if (current.malloc == object_malloc || current.malloc == sampled_malloc)
        return;
    struct layer *layer = layer_over(&current, domain);
    if (!layer)
        return;
    struct python_allocator all = {layer, object_malloc, object_calloc, object_realloc, object_free};
    struct python_allocator some = {layer, sampled_malloc, sampled_calloc, sampled_realloc, sampled_free};
    python_api.set_allocator(domain, recorder_filter ? &some : &all);
}

void object_hooks_install(void)
{
    install(PYTHON_MEM);
    install(PYTHON_OBJ);
}
