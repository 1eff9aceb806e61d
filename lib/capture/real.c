/* See real.h. Runs before constructors, perhaps inside the loader: uses nothing of libc but dlsym. */
#include "real.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>

#include "thread_state.h"

struct real_functions real;
_Atomic uint32_t real_ready;

static _Atomic(void *) resolver; /* the resolving thread, by the address of its TLS pointer */

static uintptr_t allocator_start, allocator_end; /* module of the real malloc; empty when that is libc */

alignas(16) char bootstrap_buffer[BOOTSTRAP_BYTES];
static _Atomic size_t bootstrap_used;

void *bootstrap_allocate(size_t bytes, size_t alignment)
{
    if (alignment < 16)
        alignment = 16;
    size_t start, end, used = atomic_load(&bootstrap_used);
    do {
        start = (used + alignment - 1) & ~(alignment - 1);
        end = start + ((bytes + 15) & ~(size_t)15);
        if (end > sizeof bootstrap_buffer || end < start)
            return NULL;
    } while (!atomic_compare_exchange_weak(&bootstrap_used, &used, end));
    return bootstrap_buffer + start;
}

size_t bootstrap_size(const void *block)
{
    return (size_t)(bootstrap_buffer + sizeof bootstrap_buffer - (const char *)block);
}

/* The real dlsym cannot be had from dlsym, which is our own hook: dlvsym has it, under the version of this architecture's ABI. */
static void resolve_loader_functions(void)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.27", "GLIBC_2.0"};
    for (size_t i = 0; i < ARRAY_LENGTH(versions) && !real.dlsym; i++)
        real.dlsym = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", versions[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(versions) && !real.dlopen; i++)
        real.dlopen = (void *(*)(const char *, int))dlvsym(RTLD_NEXT, "dlopen", versions[i]);
}

void *real_next(const char *name)
{
    return real.dlsym(RTLD_NEXT, name);
}

void real_module_of(const void *address, uintptr_t *ret_start, uintptr_t *ret_end)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)address, &found) == 0) {
        *ret_start = (uintptr_t)found.dlfo_map_start;
        *ret_end = (uintptr_t)found.dlfo_map_end;
    }
}

static void find_module_ranges(void)
{
    uintptr_t libc_start = 0, libc_end = 0;
    real_module_of((const void *)(uintptr_t)real.malloc, &allocator_start, &allocator_end);
    real_module_of((const void *)(uintptr_t)real.execve, &libc_start, &libc_end);
    if (allocator_start == libc_start)
        allocator_start = allocator_end = 0;
}

int real_resolve(void)
{
    void *self = &current_thread;
    void *nobody = NULL;
    if (!atomic_compare_exchange_strong(&resolver, &nobody, self)) {
        if (nobody == self)
            return atomic_load(&real_ready) != 0;
        while (!atomic_load_explicit(&real_ready, memory_order_acquire))
            sched_yield();
        return 1;
    }
    resolve_loader_functions();
    if (!real.dlsym)
        return 0;
#define RESOLVE(type, name, parameters) real.name = (__typeof__(real.name))real_next(#name);
    REAL_FUNCTIONS(RESOLVE)
#undef RESOLVE
    find_module_ranges();
    atomic_store_explicit(&real_ready, 1, memory_order_release);
    return 1;
}

bool real_is_allocator(const void *return_address)
{
    return (uintptr_t)return_address - allocator_start < allocator_end - allocator_start;
}
