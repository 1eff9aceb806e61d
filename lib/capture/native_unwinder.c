/* See native_unwinder.h. */
#include "native_unwinder.h"

#include <stdatomic.h>

#include "pages.h"
#include "recorder.h"

#define FIRST_CAPACITY 127 /* and one more before the first */
/* A thread that is never seen on its own stack has none that can be found. */
#define MAX_STACK_LOOKUPS 8

/* The array with room for entries -1 to capacity - 1; `place`: of entry 0. NULL: it is as it was. */
static void *resize(enum page_place place, void *array, size_t entry_bytes, int32_t old_capacity, int32_t capacity)
{
    size_t old_bytes = (size_t)old_capacity * entry_bytes, bytes = (size_t)capacity * entry_bytes;
    return array ? pages_remap_at(place, array, old_bytes, bytes) : pages_map_at(place, bytes);
}

/* 0: no memory; some arrays may be larger than they need be. */
static int resize_all(struct native_unwinder *unwinder, int32_t capacity)
{
    int32_t old = unwinder->capacity;
    struct native_spot *spots = resize(PLACE_UNWINDER_SPOTS, unwinder->spots, sizeof *spots, old, capacity);
    if (spots)
        unwinder->spots = spots;
    struct native_level *levels = resize(PLACE_UNWINDER_LEVELS, unwinder->levels, sizeof *levels, old, capacity);
    if (levels)
        unwinder->levels = levels;
    struct native_cell *cells = resize(PLACE_UNWINDER_CELLS, unwinder->cells, NATIVE_STEP_MAX_CELLS * sizeof *cells, old, capacity);
    if (cells)
        unwinder->cells = cells;
    struct native_frame *fresh = resize(PLACE_UNWINDER_FRESH, unwinder->fresh, sizeof *fresh, old, capacity);
    if (fresh)
        unwinder->fresh = fresh;
    if (!spots || !levels || !cells || !fresh)
        return 0;
    unwinder->capacity = capacity;
    return 1;
}

static void drop_array(enum page_place place, void *array, size_t entry_bytes)
{
    if (array)
        pages_unmap_at(place, array, FIRST_CAPACITY * entry_bytes);
}

static void drop(struct native_unwinder *unwinder)
{
    drop_array(PLACE_UNWINDER_SPOTS, unwinder->spots, sizeof *unwinder->spots);
    drop_array(PLACE_UNWINDER_LEVELS, unwinder->levels, sizeof *unwinder->levels);
    drop_array(PLACE_UNWINDER_CELLS, unwinder->cells, NATIVE_STEP_MAX_CELLS * sizeof *unwinder->cells);
    drop_array(PLACE_UNWINDER_FRESH, unwinder->fresh, sizeof *unwinder->fresh);
    cfi_cache_done(&unwinder->rows);
    pages_unmap_at(PLACE_UNWINDER, unwinder, sizeof *unwinder);
}

struct native_unwinder *native_unwinder_new(struct thread_state *thread)
{
    struct native_unwinder *unwinder = pages_map_at(PLACE_UNWINDER, sizeof *unwinder);
    if (!unwinder || !resize_all(unwinder, FIRST_CAPACITY) || !cfi_cache_init(&unwinder->rows)) {
        if (unwinder)
            drop(unwinder);
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
        return NULL;
    }
    unwinder->spots[-1].stack = UINT64_MAX;
    unwinder->signal_level = NATIVE_NO_LEVEL;
    unwinder->imprint_trust = NATIVE_IMPRINT_TRUST;
    thread->unwinder = unwinder;
    return unwinder;
}

int native_unwinder_grow(struct native_unwinder *unwinder)
{
    return unwinder->capacity < NATIVE_STACK_MAX_DEPTH / 2 && resize_all(unwinder, 2 * unwinder->capacity + 1);
}

void native_unwinder_forget(struct native_unwinder *unwinder, uint32_t module_epoch)
{
    native_unwinder_forget_nodes(unwinder);
    for (int i = 0; i < 1 << NATIVE_SHORTCUT_SET_BITS; i++)
        for (int way = 0; way < NATIVE_SHORTCUT_WAYS; way++)
            unwinder->shortcuts[i][way].place.stack = 0;
    unwinder->imprint_version++;
    cfi_cache_forget(&unwinder->rows, module_epoch);
}

int native_level_is_verified_slowly(const struct native_unwinder *unwinder, int at)
{
    for (int inner = -1; inner <= at; inner++)
        if (native_way_differs(unwinder, inner))
            return 0;
    return 1;
}

int native_unwinder_find_stack(struct native_unwinder *unwinder, const struct thread_state *thread, uint64_t stack_pointer)
{
    if (unwinder->pthread_id != thread->pthread_id) {
        unwinder->pthread_id = thread->pthread_id;
        unwinder->stack = (struct thread_stack){0, 0};
        unwinder->stack_lookups = 0;
        native_unwinder_forget(unwinder, unwinder->rows.epoch);
    }
    if (native_stack_holds(unwinder, stack_pointer))
        return 1;
    if (unwinder->stack.high || unwinder->stack_lookups++ >= MAX_STACK_LOOKUPS)
        return 0;
    return thread_stack_find(thread->kernel_id == recorder_session->pid, thread->pthread_id, stack_pointer, &unwinder->stack);
}
