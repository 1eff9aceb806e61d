/* Consumes CPython's requests for object memory, produces EVENT_*_OBJECT events. Runs in any thread that holds the GIL.
 *
 * While the allocator below works, thread->object_request and object_address tell the malloc hooks what for: the malloc that serves the very
 * object must not count again, pymalloc's arenas and tables must. */
#include "object_hooks.h"

#include <stdint.h>
#include <string.h>

#include "hook.h"
#include "python_api.h"
#include "python_walk.h"

#define MAX_LAYERS 16

/* A hook that CPython calls at every turn, and that takes no native stack: without a frame pointer. */
#if defined(__GNUC__) && !defined(__clang__)
#define QUICK __attribute__((optimize("omit-frame-pointer")))
#else
#define QUICK
#endif

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

/* ---- what CPython asks for ---- */

HOT_INLINE void *do_malloc(const struct layer *layer, size_t size, const void *return_address, int is_sampled)
{
    struct thread_state *thread = thread_to_record();
    if (unlikely(!thread))
        return layer->below.malloc(layer->below.context, size);
    int taken = takes(thread, size, is_sampled);
    void *object = malloc_below(thread, layer, size);
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
    void *object = calloc_below(thread, layer, count, size);
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
    void *object = realloc_below(thread, layer, old, size);
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

/* ---- where everything is recorded ---- */

OUTLINED void *general_malloc(const struct layer *layer, size_t size, const void *return_address)
{
    return do_malloc(layer, size, return_address, 0);
}

static void *object_malloc(void *context, size_t size)
{
    return general_malloc(context, size, __builtin_return_address(0));
}

/* The second halves of the malloc below, one after the other where the last one could not do it: a stack that is looked for, … */
HOT_INLINE void *finish(struct thread_state *thread, void *object, size_t size, uint32_t stack)
{
    recorder_allocate(thread, EVENT_ALLOCATE_OBJECT, object, size, stack);
    recorder_leave(thread);
    return object;
}

/* … whatever it may be. */
OUTLINED void *finish_known(struct thread_state *thread, void *object, size_t size, uint32_t stack)
{
    return finish(thread, object, size, stack);
}

OUTLINED void *finish_generally(struct thread_state *thread, void *object, size_t size, const void *return_address)
{
    recorder_enter_as(thread);
    return finish(thread, object, size, stack_of_object_hook(thread, return_address));
}

/* … one that isn't among those found lately, … */
HOT_INLINE void *finish_found(python_walk_find_function find, struct thread_state *thread, void *object, size_t size, const void *state)
{
    recorder_enter_as(thread);
    const struct python_walk *walk = thread->python;
    uint32_t stack = likely(walk != NULL) && likely(walk->way != WALK_UNKNOWN) ? find(thread, state) : 0;
    return likely(stack) ? finish(thread, object, size, stack) : finish_generally(thread, object, size, __builtin_return_address(0));
}

typedef void *finish_function(struct thread_state *thread, void *object, size_t size, const void *state);

/* A stack that is deep, or new. */
HOT_INLINE void *usual_finish_deep(const struct python_layout *layout, finish_function *finish_found, struct thread_state *thread, void *object,
                                   size_t size, const void *state)
{
    recorder_enter_quickly(thread);
    uint32_t stack = python_walk_deep(layout, thread, state);
    if (unlikely(!stack))
        return finish_found(thread, object, size, state);
    struct session_header *session = recorder_session;
    if (!recorder_is_ready(thread, session))
        return finish_known(thread, object, size, stack);
    recorder_put_allocation(thread, recorder_place(thread, session), EVENT_ALLOCATE_OBJECT, object, size, stack);
    recorder_leave(thread);
    return object;
}

/* Most of what a Python program asks for. One function a layout, which has the walk over its frames within, and calls nothing but what it must:
 * whatever isn't as usual is left to one that takes its place. `thread` stays the one that may record, whatever the allocator below does: a
 * program that has been paused meanwhile has raised its order word. */
HOT_INLINE void *usual_malloc(const struct python_layout *layout, finish_function *finish_deep, const struct layer *layer, size_t size)
{
    struct thread_state *thread = current_thread;
    if (unlikely((thread->busy | thread->object_request | size >> 32) != 0))
        return general_malloc(layer, size, __builtin_return_address(0));
    void *object = malloc_below(thread, layer, size);
    if (unlikely(!object))
        return NULL;
    recorder_enter_quickly(thread);
    const void *state = stacks_state_under_gil(layout, thread);
    if (unlikely(!state))
        return finish_generally(thread, object, size, __builtin_return_address(0));
    const struct walk_found *found = python_walk_quick(layout, thread, state);
    if (unlikely(!found))
        return finish_deep(thread, object, size, state);
    struct session_header *session = recorder_session;
    if (!recorder_is_ready(thread, session))
        return finish_known(thread, object, size, found->node);
    recorder_put_allocation(thread, recorder_place(thread, session), EVENT_ALLOCATE_OBJECT, object, size, found->node);
    recorder_leave(thread);
    return object;
}

#define X(index, initializer)                                                                                                  \
    OUTLINED void *finish_found_##index(struct thread_state *thread, void *object, size_t size, const void *state)             \
    {                                                                                                                          \
        return finish_found(python_walk_find_##index, thread, object, size, state);                                            \
    }                                                                                                                          \
    QUICK OUTLINED void *finish_deep_##index(struct thread_state *thread, void *object, size_t size, const void *state)        \
    {                                                                                                                          \
        static const struct python_layout layout = initializer;                                                                \
        return usual_finish_deep(&layout, finish_found_##index, thread, object, size, state);                                  \
    }                                                                                                                          \
    QUICK static void *object_malloc_##index(void *context, size_t size)                                                       \
    {                                                                                                                          \
        static const struct python_layout layout = initializer;                                                                \
        return usual_malloc(&layout, finish_deep_##index, context, size);                                                      \
    }
PYTHON_LAYOUTS(X)
#undef X

#define X(index, initializer) [index] = object_malloc_##index,
static void *(*const mallocs[])(void *context, size_t size) = {PYTHON_LAYOUTS(X) [PYTHON_LAYOUT_OTHER] = object_malloc};
#undef X

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

/* The same, over an allocator in which no layer of ours can be. */
OUTLINED void free_lowest_unready(const struct layer *layer, void *object, struct thread_state *thread)
{
    thread->object_address = (uintptr_t)object; /* first: a thread that is put to rest by the event forgets it */
    recorder_enter_as(thread);
    recorder_free(thread, EVENT_FREE, object);
    recorder_leave(thread);
    layer->below.free(layer->below.context, object);
}

QUICK static void object_free_lowest(void *context, void *object)
{
    const struct layer *layer = context;
    struct thread_state *thread = current_thread;
    if (unlikely(!object) || unlikely((thread->busy | thread->object_request) != 0)) {
        object_free(context, object);
        return;
    }
    struct session_header *session = recorder_session;
    recorder_enter_quickly(thread);
    if (!recorder_is_ready(thread, session)) {
        free_lowest_unready(layer, object, thread);
        return;
    }
    thread->object_address = (uintptr_t)object;
    recorder_put_free(thread, recorder_place(thread, session), EVENT_FREE, object);
    recorder_leave(thread);
    layer->below.free(layer->below.context, object);
}

/* ---- where a sample is ---- */

static __attribute__((noinline)) void *take_malloc(const struct layer *layer, size_t size, const void *return_address)
{
    return do_malloc(layer, size, return_address, 1);
}

/* No sampling point in it? `busy` need not be asked for: no signal handler allocates objects, and where all threads rest nothing matters. */
HOT_INLINE int passes(struct thread_state *thread, uint64_t size)
{
    if (unlikely(size >= thread->sample_left || thread->object_request))
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
    return malloc_below(thread, layer, size);
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
    return realloc_below(thread, layer, old, size);
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

static int is_ours(const struct python_allocator *allocator)
{
    return allocator->free == object_free || allocator->free == object_free_lowest || allocator->free == sampled_free;
}

/* A layer over this allocator: the one it had before, if any. NULL: too many. */
static struct layer *layer_over(const struct python_allocator *below, int domain, int *ret_is_lowest)
{
    *ret_is_lowest = 1;
    for (unsigned i = 0; i < layer_count; i++) {
        if (layers[i].domain == domain && same_allocator(&layers[i].below, below))
            return &layers[i];
        *ret_is_lowest &= layers[i].domain != domain;
    }
    if (layer_count == MAX_LAYERS)
        return NULL;
    layers[layer_count] = (struct layer){*below, domain};
    return &layers[layer_count++];
}

/* Some installed hooks don't ask for a sample. */
static int records_all;

static struct python_allocator sampling_hooks(void *layer)
{
    return (struct python_allocator){layer, sampled_malloc, sampled_calloc, sampled_realloc, sampled_free};
}

static void install(int domain)
{
    struct python_allocator current;
    int is_lowest;
    python_api.get_allocator(domain, &current);
    struct layer *layer = is_ours(&current) ? NULL : layer_over(&current, domain, &is_lowest);
    if (!layer)
        return;
    struct python_allocator all = {layer, mallocs[python_stack_layout_index], object_calloc, object_realloc,
                                   is_lowest ? object_free_lowest : object_free};
    struct python_allocator some = sampling_hooks(layer);
    records_all |= !recorder_filter;
    python_api.set_allocator(domain, recorder_filter ? &some : &all);
}

int object_hooks_sample(void)
{
    return !records_all;
}

int object_hooks_exchange(void)
{
    static const int domains[] = {PYTHON_MEM, PYTHON_OBJ};
    struct python_allocator current[ARRAY_LENGTH(domains)];
    for (unsigned i = 0; i < ARRAY_LENGTH(domains); i++) {
        python_api.get_allocator(domains[i], &current[i]);
        if (!is_ours(&current[i]))
            return 0;
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(domains); i++) {
        struct python_allocator some = sampling_hooks(current[i].context);
        python_api.set_allocator(domains[i], &some);
    }
    records_all = 0;
    return 1;
}

void object_hooks_install(void)
{
    install(PYTHON_MEM);
    install(PYTHON_OBJ);
}
