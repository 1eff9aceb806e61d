/* C++ operator new and delete, in C.
 *
 * libstdc++'s operator new ends in malloc, which records the block; our hook only leaves a note of who called operator new, so that the block is
 * credited to that line and not to libstdc++. An allocator's own operators (tcmalloc, jemalloc) don't go through malloc and free: those blocks are
 * recorded here. Exceptions pass through: nothing is to be undone when they do. The plain operators, which serve nearly all calls, don't go
 * through the C++ library at all where that would only come back to our malloc.
 *
 * libstdc++ may have been loaded by a dlopen(RTLD_LOCAL), out of RTLD_NEXT's sight, although our symbols stand before its for everyone: then it
 * is asked by name. */
#include "new_hooks.h"

#include <dlfcn.h>

#include "hook.h"

/* Mangled for LP64: size_t is m. */
#define NEW_FORMS(X)                                                                                                        \
    X(_Znam, (size_t size), (size))                                                                                         \
    X(_ZnwmRKSt9nothrow_t, (size_t size, const void *nothrow), (size, nothrow))                                             \
    X(_ZnamRKSt9nothrow_t, (size_t size, const void *nothrow), (size, nothrow))                                             \
    X(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment))                                             \
    X(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment))                                             \
    X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *nothrow), (size, alignment, nothrow)) \
    X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *nothrow), (size, alignment, nothrow))

#define DELETE_FORMS(X)                                                                                         \
    X(_ZdaPv, (void *block), (block))                                                                           \
    X(_ZdaPvm, (void *block, size_t size), (block, size))                                                       \
    X(_ZdlPvRKSt9nothrow_t, (void *block, const void *nothrow), (block, nothrow))                               \
    X(_ZdaPvRKSt9nothrow_t, (void *block, const void *nothrow), (block, nothrow))                               \
    X(_ZdlPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))                               \
    X(_ZdaPvSt11align_val_t, (void *block, size_t alignment), (block, alignment))                               \
    X(_ZdlPvmSt11align_val_t, (void *block, size_t size, size_t alignment), (block, size, alignment))           \
    X(_ZdaPvmSt11align_val_t, (void *block, size_t size, size_t alignment), (block, size, alignment))

static void *in_library(const char *library, const char *name)
{
    void *handle = real.dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    return handle ? real.dlsym(handle, name) : NULL;
}

COLD static void *find_operator(const char *name)
{
    if (!real_available())
        return NULL;
    struct thread_state *thread = current_thread;
    uintptr_t was_busy = thread->busy;
    if (was_busy == THREAD_READY)
        thread->busy = THREAD_INTERNAL;
    void *found = real_next(name);
    if (!found)
        found = in_library("libstdc++.so.6", name);
    if (!found)
        found = in_library("libc++.so.1", name);
    thread->busy = was_busy;
    return found;
}

/* The library that the C++ operators come from. */
static uintptr_t runtime_start, runtime_end;

static int in_runtime(const void *return_address)
{
    return (uintptr_t)return_address - runtime_start < runtime_end - runtime_start;
}

const void *new_hooks_caller(struct thread_state *thread, const void *return_address)
{
    if (!in_runtime(return_address))
        return return_address;
    const void *caller = thread->new_caller;
    thread->new_caller = NULL;
    return caller;
}

static __attribute__((noinline)) void note_caller(const void *next, const void *return_address)
{
    if (unlikely(!runtime_start))
        real_module_of(next, &runtime_start, &runtime_end);
    if (in_runtime(return_address))
        return; /* operator new[] calling operator new: the note is there */
    if (unlikely(!thread_is_registered(current_thread))) {
        struct thread_state *admitted = recorder_enter();
        if (!admitted)
            return;
        recorder_leave(admitted);
    }
    current_thread->new_caller = return_address;
}

/* `runtime`: the C++ library's operator, once it is known that it ends in malloc. Where that malloc will pass unrecorded, it wants no note. */
#define DEFINE_NEW(name, parameters, arguments)                                          \
    void *name parameters;                                                               \
    EXPORT void *name parameters                                                         \
    {                                                                                    \
        static __typeof__(&name) runtime, next;                                          \
        if (likely(runtime != NULL)) {                                                   \
            if (size >= current_thread->sample_left)                                     \
                note_caller((const void *)(uintptr_t)runtime, RETURN_ADDRESS);           \
            return runtime arguments;                                                    \
        }                                                                                \
        if (unlikely(!next) && !(next = (__typeof__(next))find_operator(#name)))         \
            return malloc(size);                                                         \
        if (likely(!real_is_allocator((const void *)(uintptr_t)next))) {                 \
            note_caller((const void *)(uintptr_t)next, RETURN_ADDRESS);                  \
            return (runtime = next)arguments;                                            \
        }                                                                                \
        void *block = next arguments;                                                    \
        return hook_allocated(block, size, RETURN_ADDRESS);                              \
    }

#define DEFINE_DELETE(name, parameters, arguments)                                       \
    void name parameters;                                                                \
    EXPORT void name parameters                                                          \
    {                                                                                    \
        static __typeof__(&name) runtime, next;                                          \
        if (likely(runtime != NULL)) {                                                   \
            runtime arguments;                                                           \
            return;                                                                      \
        }                                                                                \
        if (unlikely(!block))                                                            \
            return;                                                                      \
        if (unlikely(!next) && !(next = (__typeof__(next))find_operator(#name))) {       \
            free(block);                                                                 \
            return;                                                                      \
        }                                                                                \
        if (likely(!real_is_allocator((const void *)(uintptr_t)next))) {                 \
            (runtime = next)arguments;                                                   \
            return;                                                                      \
        }                                                                                \
        if (hook_deallocation_way(block) != HOOK_PASSES)                                 \
            hook_record_deallocation(block, recorder_filter != NULL);        \
        next arguments;                                                                  \
    }

NEW_FORMS(DEFINE_NEW)
DELETE_FORMS(DEFINE_DELETE)

/* ---- the plain ones: the C++ library's do no more than malloc and free, but for what comes when there is no memory ---- */

void *_Znwm(size_t size);
void _ZdlPv(void *block);
void _ZdlPvm(void *block, size_t size);

/* What the C++ library would call is ours, and nobody has replaced the operator that it must call from another one: it needn't be asked. */
static uint32_t plain_is_malloc;

static int leads_to(const char *name, const void *ours)
{
    return real.dlsym(RTLD_DEFAULT, name) == ours;
}

COLD static void find_what_is_plain(void)
{
    static int is_asked;
    struct thread_state *thread = current_thread;
    uintptr_t was_busy = thread->busy;
    if (is_asked)
        return;
    is_asked = 1;
    if (was_busy == THREAD_READY)
        thread->busy = THREAD_INTERNAL;
    plain_is_malloc = leads_to("malloc", (const void *)(uintptr_t)&malloc) && leads_to("free", (const void *)(uintptr_t)&free) &&
                      leads_to("_Znwm", (const void *)(uintptr_t)&_Znwm) && leads_to("_ZdlPv", (const void *)(uintptr_t)&_ZdlPv);
    thread->busy = was_busy;
}

static __attribute__((noinline)) void *new_by_runtime(size_t size, const void *return_address)
{
    static void *(*next)(size_t);
    if (unlikely(!next) && !(next = (void *(*)(size_t))find_operator("_Znwm")))
        return malloc(size);
    if (real_is_allocator((const void *)(uintptr_t)next))
        return hook_allocated(next(size), size, return_address);
    find_what_is_plain();
    note_caller((const void *)(uintptr_t)next, return_address);
    return next(size);
}

OUTLINED void *new_recorded(size_t size, const void *return_address)
{
    if (unlikely(!plain_is_malloc))
        return new_by_runtime(size, return_address);
    size_t bytes = size + !size; /* as it does */
    void *block = real.malloc(bytes);
    /* It calls the new-handler, tries again, and throws. */
    return likely(block != NULL) ? hook_record_allocation(block, bytes, return_address) : new_by_runtime(size, return_address);
}

EXPORT void *_Znwm(size_t size)
{
    if (unlikely(!plain_is_malloc) || !hook_allocation_passes(current_thread, size))
        return new_recorded(size, RETURN_ADDRESS);
    void *block = real.malloc(size);
    return likely(block != NULL) ? block : new_by_runtime(size, RETURN_ADDRESS);
}

static __attribute__((noinline)) void delete_by_runtime(void *block)
{
    static void (*next)(void *);
    if (!block)
        return;
    if (unlikely(!next) && !(next = (void (*)(void *))find_operator("_ZdlPv"))) {
        free(block);
        return;
    }
    if (real_is_allocator((const void *)(uintptr_t)next) && hook_deallocation_way(block) != HOOK_PASSES)
        hook_record_deallocation(block, recorder_filter != NULL);
    next(block);
}

EXPORT void _ZdlPv(void *block)
{
    if (likely(plain_is_malloc) && likely(!bootstrap_owns(block)))
        hook_free(block);
    else
        delete_by_runtime(block);
}

static __attribute__((noinline)) void delete_sized_by_runtime(void *block, size_t size)
{
    static void (*next)(void *, size_t);
    if (!block)
        return;
    if (unlikely(!next) && !(next = (void (*)(void *, size_t))find_operator("_ZdlPvm"))) {
        free(block);
        return;
    }
    if (real_is_allocator((const void *)(uintptr_t)next) && hook_deallocation_way(block) != HOOK_PASSES)
        hook_record_deallocation(block, recorder_filter != NULL);
    next(block, size);
}

EXPORT void _ZdlPvm(void *block, size_t size)
{
    if (likely(plain_is_malloc) && likely(!bootstrap_owns(block)))
        hook_free(block);
    else
        delete_sized_by_runtime(block, size);
}
