/* See object_samples.h.
 *
 * Over pymalloc an object that is sampled is made one of libc's blocks, by asking for more than pymalloc serves itself. It gives that back to
 * libc by itself, whose free is ours and knows it; so pymalloc's free stays in its place, and no other object's end costs anything. */
#include "object_samples.h"

#include "object_hooks.h"
#include "object_request.h"

/* All that CPython gives up is to be seen from now on. Holds the GIL, as any request for an object does. */
HOT_INLINE void follow_ends(const struct layer *layer)
{
    if (unlikely(layer->leaves_releases && sampling_wants_all_ends()))
        object_hooks_watch_releases();
}

OUTLINED void *take_malloc(const struct layer *layer, size_t size, const void *return_address)
{
    follow_ends(layer);
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

/* The malloc that serves a larger object is not to count it again. */
static void *sampled_malloc(void *context, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = current_thread;
    if (unlikely(!passes(thread, size)))
        return take_malloc(layer, size, __builtin_return_address(0));
    return malloc_below(thread, layer, size);
}

static void *sampled_pymalloc(void *context, size_t size)
{
    const struct layer *layer = context;
    struct thread_state *thread = current_thread;
    if (unlikely(size > PYMALLOC_MAX_BYTES) || unlikely(!passes(thread, size)))
        return take_malloc(layer, size, __builtin_return_address(0));
    return layer->below.malloc(layer->below.context, size);
}

static void *sampled_calloc(void *context, size_t count, size_t size)
{
    follow_ends(context);
    return do_calloc(context, count, size, __builtin_return_address(0), 1);
}

OUTLINED void *take_realloc(const struct layer *layer, void *old, size_t size, const void *return_address)
{
    follow_ends(layer);
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

OUTLINED void take_free(const struct layer *layer, void *object)
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

struct python_allocator object_samples_hooks(struct layer *layer, int leaves_releases)
{
    layer->leaves_releases = leaves_releases;
    if (leaves_releases) /* pymalloc's own, which never looks at its context */
        return (struct python_allocator){layer, sampled_pymalloc, sampled_calloc, sampled_realloc, layer->below.free};
    return (struct python_allocator){layer, sampled_malloc, sampled_calloc, sampled_realloc, sampled_free};
}
