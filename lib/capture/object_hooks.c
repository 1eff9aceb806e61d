/* Consumes CPython's requests for object memory, produces EVENT_*_OBJECT events. Runs in any thread that holds the GIL.
 *
 * While the allocator below works, thread->object_depth, object_size and object_address tell the malloc hooks what for: the malloc that
 * serves the very object must not count again, pymalloc's arenas and tables must. */
#include "object_hooks.h"

#include <stdint.h>
#include <string.h>

#include "python_api.h"
#include "recorder.h"
#include "stacks.h"

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

HOT_INLINE void record_object(unsigned opcode, const void *object, size_t size, const void *return_address)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return;
    recorder_allocate(thread, opcode, object, size, stack_of_object_hook(thread, return_address));
    recorder_leave(thread);
}

/* 1: recorded. */
HOT_INLINE int record_release(unsigned opcode, const void *object)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return 0;
    recorder_free(thread, opcode, object);
    recorder_leave(thread);
    return 1;
}

/* ---- the functions CPython calls ---- */

static void *object_malloc(void *context, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.malloc(layer->below.context, size);
    enter_below(thread, size, NULL);
    void *object = layer->below.malloc(layer->below.context, size);
    leave_below(thread);
    if (likely(object != NULL))
        record_object(EVENT_ALLOCATE_OBJECT, object, size, __builtin_return_address(0));
    return object;
}

static void *object_calloc(void *context, size_t count, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.calloc(layer->below.context, count, size);
    enter_below(thread, count * size, NULL);
    void *object = layer->below.calloc(layer->below.context, count, size);
    leave_below(thread);
    if (likely(object != NULL)) /* then the product did not overflow */
        record_object(EVENT_ALLOCATE_OBJECT, object, count * size, __builtin_return_address(0));
    return object;
}

static void *object_realloc(void *context, void *old, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread) || (old && unlikely(!record_release(EVENT_REALLOC_BEGIN, old))))
        return layer->below.realloc(layer->below.context, old, size);
    enter_below(thread, size, old);
    void *object = layer->below.realloc(layer->below.context, old, size);
    leave_below(thread);
    if (likely(object != NULL))
        record_object(old ? EVENT_REALLOC_END_OBJECT : EVENT_ALLOCATE_OBJECT, object, size, __builtin_return_address(0));
    else if (old)
        record_release(EVENT_REALLOC_FAILED, old);
    return object;
}

/* Recorded before it happens: afterwards another thread may already have got the address. */
static void object_free(void *context, void *object)
{
    const struct layer *layer = context;
    struct thread_state *thread = object ? thread_to_record() : NULL;
    if (unlikely(!thread)) {
        layer->below.free(layer->below.context, object);
        return;
    }
    record_release(EVENT_FREE, object);
    enter_below(thread, NO_SIZE, object);
    layer->below.free(layer->below.context, object);
    leave_below(thread);
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
    if (current.malloc == object_malloc)
        return;
    struct layer *layer = layer_over(&current, domain);
    if (!layer)
        return;
    struct python_allocator ours = {layer, object_malloc, object_calloc, object_realloc, object_free};
    python_api.set_allocator(domain, &ours);
}

void object_hooks_install(void)
{
    install(PYTHON_MEM);
    install(PYTHON_OBJ);
}
