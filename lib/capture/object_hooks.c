/* Consumes CPython's requests for object memory, produces EVENT_*_OBJECT events. Runs in any thread that holds the GIL. */
#include "object_hooks.h"

#include "object_request.h"
#include "object_samples.h"

#define MAX_LAYERS 16

/* A hook that CPython calls at every turn, and that takes no native stack: without a frame pointer. */
#if defined(__GNUC__) && !defined(__clang__)
#define QUICK __attribute__((optimize("omit-frame-pointer")))
#else
#define QUICK
#endif

static struct layer layers[MAX_LAYERS];
static unsigned layer_count;

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

/* ---- installation ---- */

static int same_allocator(const struct python_allocator *a, const struct python_allocator *b)
{
    return a->context == b->context && a->malloc == b->malloc && a->calloc == b->calloc && a->realloc == b->realloc && a->free == b->free;
}

static int is_ours(const struct python_allocator *allocator)
{
    return (uintptr_t)allocator->context - (uintptr_t)layers < sizeof layers;
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
    layers[layer_count] = (struct layer){*below, domain, 0};
    return &layers[layer_count++];
}

/* Some installed hooks don't ask for a sample. */
static int records_all;

static void install(int domain, int leaves_releases)
{
    struct python_allocator current;
    int is_lowest;
    python_api.get_allocator(domain, &current);
    struct layer *layer = is_ours(&current) ? NULL : layer_over(&current, domain, &is_lowest);
    if (!layer)
        return;
    struct python_allocator hooks;
    if (recorder_filter)
        hooks = object_samples_hooks(layer, leaves_releases);
    else
        hooks = (struct python_allocator){layer, mallocs[python_stack_layout_index], object_calloc, object_realloc,
                                          is_lowest ? object_free_lowest : object_free};
    records_all |= !recorder_filter;
    python_api.set_allocator(domain, &hooks);
}

static const int domains[] = {PYTHON_MEM, PYTHON_OBJ};

/* Where others stand over them by now nothing changes: what is recorded goes on to come from libc. */
void object_hooks_watch_releases(void)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(domains); i++) {
        struct python_allocator current;
        python_api.get_allocator(domains[i], &current);
        if (!is_ours(&current))
            continue;
        struct python_allocator hooks = object_samples_hooks(current.context, 0);
        python_api.set_allocator(domains[i], &hooks);
    }
}

int object_hooks_sample(void)
{
    return !records_all;
}

int object_hooks_exchange(void)
{
    struct python_allocator current;
    for (unsigned i = 0; i < ARRAY_LENGTH(domains); i++) {
        python_api.get_allocator(domains[i], &current);
        if (!is_ours(&current))
            return 0;
    }
    object_hooks_watch_releases();
    records_all = 0;
    return 1;
}

void object_hooks_install(void)
{
    int leaves_releases = recorder_filter && !sampling_wants_all_ends() && pymalloc_serves() && pymalloc_mark_arenas();
    if (leaves_releases)
        recorder_session->arena_object_bytes = PYMALLOC_MAX_BYTES + 1;
    for (unsigned i = 0; i < ARRAY_LENGTH(domains); i++)
        install(domains[i], leaves_releases);
}
