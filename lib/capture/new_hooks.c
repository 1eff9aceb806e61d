/* C++ operator new and delete, in C.
 *
 * libstdc++'s operator new ends in malloc, which records the block; our hook only leaves a note of who called operator new, so that the block is
 * credited to that line and not to libstdc++. An allocator's own operators (tcmalloc, jemalloc) don't go through malloc and free: those blocks are
 * recorded here. Exceptions pass through: nothing is to be undone when they do.
 *
 * libstdc++ may have been loaded by a dlopen(RTLD_LOCAL), out of RTLD_NEXT's sight, although our symbols stand before its for everyone: then it
 * is asked by name. */
#include "new_hooks.h"

#include <dlfcn.h>

#include "hook.h"

/* Mangled for LP64: size_t is m. */
#define NEW_FORMS(X)                                                                                                        \
    X(_Znwm, (size_t size), (size))                                                                                         \
    X(_Znam, (size_t size), (size))                                                                                         \
    X(_ZnwmRKSt9nothrow_t, (size_t size, const void *nothrow), (size, nothrow))                                             \
    X(_ZnamRKSt9nothrow_t, (size_t size, const void *nothrow), (size, nothrow))                                             \
    X(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment))                                             \
    X(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment))                                             \
    X(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *nothrow), (size, alignment, nothrow)) \
    X(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *nothrow), (size, alignment, nothrow))

#define DELETE_FORMS(X)                                                                                         \
    X(_ZdlPv, (void *block), (block))                                                                           \
    X(_ZdaPv, (void *block), (block))                                                                           \
    X(_ZdlPvm, (void *block, size_t size), (block, size))                                                       \
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

static void note_caller(const void *next, const void *return_address)
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

#define DEFINE_NEW(name, parameters, arguments)                                          \
    void *name parameters;                                                               \
    EXPORT void *name parameters                                                         \
    {                                                                                    \
        static __typeof__(&name) next;                                                   \
        if (unlikely(!next) && !(next = (__typeof__(next))find_operator(#name)))         \
            return malloc(size);                                                         \
        if (likely(!real_is_allocator((const void *)(uintptr_t)next))) {                 \
            note_caller((const void *)(uintptr_t)next, RETURN_ADDRESS);                  \
            return next arguments;                                                       \
        }                                                                                \
        void *block = next arguments;                                                    \
        return hook_allocated(block, size, RETURN_ADDRESS);                              \
    }
NEW_FORMS(DEFINE_NEW)

#define DEFINE_DELETE(name, parameters, arguments)                                       \
    void name parameters;                                                                \
    EXPORT void name parameters                                                          \
    {                                                                                    \
        static __typeof__(&name) next;                                                   \
        if (unlikely(!block))                                                            \
            return;                                                                      \
        if (unlikely(!next) && !(next = (__typeof__(next))find_operator(#name))) {       \
            free(block);                                                                 \
            return;                                                                      \
        }                                                                                \
        if (likely(!real_is_allocator((const void *)(uintptr_t)next))) {                 \
            next arguments;                                                              \
            return;                                                                      \
        }                                                                                \
        switch (hook_deallocation_way(block)) {                                          \
        case HOOK_PASSES: break;                                                         \
        case HOOK_RECORDS: hook_record_deallocation(block, HOOK_FRAME, 0); break;        \
        case HOOK_SAMPLES: hook_record_deallocation(block, HOOK_FRAME, 1); break;        \
        }                                                                                \
        next arguments;                                                                  \
    }
DELETE_FORMS(DEFINE_DELETE)
