/* The malloc family. Each hook: the real call, then (before it, for deallocations) an event. Sizes are the requested ones.
 * Entered by any thread at any time, from the loader's first malloc to libc's last free. */
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "hook.h"
#include "module_table.h"

#undef cfree
void cfree(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

OUTLINED void *malloc_recorded(size_t size, const void *return_address)
{
    if (unlikely(!real_available()))
        return bootstrap_allocate(size, 16);
    return hook_record_allocation(real.malloc(size), size, return_address);
}

/* Asked beforehand, so that a block that passes costs no frame: both ways are tail calls. A thread that lets blocks pass has started, and so
 * has the real malloc. */
EXPORT void *malloc(size_t size)
{
    return hook_allocation_passes(current_thread, size) ? real.malloc(size) : malloc_recorded(size, RETURN_ADDRESS);
}

/* What ld.so spans, at most. */
#define LOADER_BYTES (256u << 10)

COLD static void library_comes(void)
{
    struct thread_state *thread = recorder_enter();
    if (thread) {
        module_table_check();
        recorder_leave(thread);
    }
}

EXPORT void *calloc(size_t count, size_t size)
{
    if (unlikely(!real_available()))
        return bootstrap_allocate(count * size, 16); /* the buffer is zero, and dlsym asks for small things */
    /* Before the loader maps a library it asks for what it keeps of it: so many bytes. */
    if (unlikely(size == 1) && unlikely((uintptr_t)RETURN_ADDRESS - _r_debug.r_ldbase < LOADER_BYTES))
        library_comes();
    void *block = real.calloc(count, size);
    return hook_allocated(block, count * size, RETURN_ADDRESS);
}

/* Perhaps a process's first call of all. */
OUTLINED void free_recorded(void *block)
{
    if (likely(real_available()))
        hook_free_recorded(block);
}

/* Where nothing is recorded of it, all is there. */
HOT_INLINE void release(void *block)
{
    if (unlikely(bootstrap_owns(block)))
        return;
    switch (hook_deallocation_way(block)) {
    case HOOK_PASSES: real.free(block); break;
    case HOOK_RECORDS: free_recorded(block); break;
    case HOOK_SAMPLES: hook_free_sampled(block); break;
    }
}

EXPORT void free(void *block)
{
    release(block);
}

EXPORT void cfree(void *block)
{
    release(block);
}

/* C23. Where libc has none, a caller that found ours gets what the standard says. */
EXPORT void free_sized(void *block, size_t size)
{
    release(block);
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    release(block);
}

static void *bootstrap_reallocate(void *old, size_t size)
{
    void *block = real_available() ? real.malloc(size) : bootstrap_allocate(size, 16);
    if (block && old)
        real.memmove ? real.memmove(block, old, size < bootstrap_size(old) ? size : bootstrap_size(old)) : NULL;
    return block;
}

/* The second half: the real call has been made. `known`: a REALLOC_BEGIN was written. Returns the block: the hook's last call has the hook's frame,
 * where the quick way to a native stack begins. */
static __attribute__((noinline)) void *end_reallocation(const void *old, void *block, size_t size, int known, int taken, const void *return_address)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return block;
    if (unlikely(!block)) {
        if (size && known) /* else: realloc(old, 0) freed it, as glibc does */
            hook_restore(thread, old);
    } else if (taken && hook_may_record(block)) {
        recorder_allocate(thread, EVENT_REALLOC_END, block, size, stack_of_native_hook(thread, return_address));
    } else if (known) {
        recorder_reallocation_passed(thread, block, size, hook_copies_wanted() ? stack_of_native_hook(thread, return_address) : 0);
    }
    recorder_leave(thread);
    return block;
}

/* A deallocation before the real call and an allocation after it: in between, another thread may get the old address. */
HOT_INLINE void *reallocate(void *old, size_t size, const void *return_address)
{
    struct thread_state *thread = recorder_enter();
    if (unlikely(!thread))
        return real.realloc(old, size);
    int taken = sampling_takes(thread, &thread->sample_left, size), known = 0;
    if (serves_object(thread, size))
        taken = 0;
    else if ((known = sampling_ends(old)))
        recorder_free(thread, EVENT_REALLOC_BEGIN, old);
    recorder_leave(thread);
    void *block = real.realloc(old, size);
    return taken || known ? end_reallocation(old, block, size, known, taken, return_address) : block;
}

EXPORT void *realloc(void *old, size_t size)
{
    if (unlikely(!real_available() || bootstrap_owns(old)))
        return bootstrap_reallocate(old, size);
    if (old)
        return reallocate(old, size, RETURN_ADDRESS);
    void *block = real.realloc(NULL, size);
    return hook_allocated(block, size, RETURN_ADDRESS);
}

EXPORT void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    if (unlikely(!real_available() || bootstrap_owns(old)))
        return bootstrap_reallocate(old, bytes);
    if (old)
        return reallocate(old, bytes, RETURN_ADDRESS);
    void *block = real.realloc(NULL, bytes);
    return hook_allocated(block, bytes, RETURN_ADDRESS);
}

EXPORT int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    if (unlikely(!real_available()))
        return (*ret_block = bootstrap_allocate(size, alignment)) ? 0 : ENOMEM;
    int result = real.posix_memalign(ret_block, alignment, size);
    if (likely(result == 0))
        hook_allocated(*ret_block, size, RETURN_ADDRESS);
    return result;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (unlikely(!real_available()))
        return bootstrap_allocate(size, alignment);
    void *block = real.aligned_alloc(alignment, size);
    return hook_allocated(block, size, RETURN_ADDRESS);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (unlikely(!real_available()))
        return bootstrap_allocate(size, alignment);
    void *block = real.memalign(alignment, size);
    return hook_allocated(block, size, RETURN_ADDRESS);
}

EXPORT void *valloc(size_t size)
{
    if (unlikely(!real_available()))
        return bootstrap_allocate(size, 4096);
    void *block = real.valloc(size);
    return hook_allocated(block, size, RETURN_ADDRESS);
}

EXPORT void *pvalloc(size_t size)
{
    if (unlikely(!real_available()))
        return bootstrap_allocate(size, 4096);
    void *block = real.pvalloc(size);
    return hook_allocated(block, size, RETURN_ADDRESS);
}

EXPORT size_t malloc_usable_size(void *block)
{
    if (unlikely(!real_available() || bootstrap_owns(block)))
        return block ? bootstrap_size(block) : 0;
    return real.malloc_usable_size(block);
}
