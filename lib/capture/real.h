/* The functions that our hooks stand in front of: what the target would have called without us.
 *
 * Found with dlsym(RTLD_NEXT) at the first call of any hook, which may be long before our constructor. dlsym itself may
 * allocate before it can answer: those few blocks come from a static buffer that free and realloc recognise.
 * Any thread. A pointer is NULL where the target's libraries have no such function. */
#ifndef HEAPLINE_CAPTURE_REAL_H
#define HEAPLINE_CAPTURE_REAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

#include "compiler.h"

/* Functions whose real address is looked up at start. X(return type, name, parameters) */
#define REAL_FUNCTIONS(X)                                            \
    X(void *, malloc, (size_t))                                      \
    X(void, free, (void *))                                          \
    X(void *, calloc, (size_t, size_t))                              \
    X(void *, realloc, (void *, size_t))                             \
    X(void *, reallocarray, (void *, size_t, size_t))                \
    X(int, posix_memalign, (void **, size_t, size_t))                \
    X(void *, aligned_alloc, (size_t, size_t))                       \
    X(void *, memalign, (size_t, size_t))                            \
    X(void *, valloc, (size_t))                                      \
    X(void *, pvalloc, (size_t))                                     \
    X(size_t, malloc_usable_size, (void *))                          \
    X(void *, mmap, (void *, size_t, int, int, int, off_t))          \
    X(int, munmap, (void *, size_t))                                 \
    X(void *, mremap, (void *, size_t, size_t, int, ...))            \
    X(int, brk, (void *))                                            \
    X(void *, sbrk, (intptr_t))                                      \
    X(void *, memmove, (void *, const void *, size_t))               \
    X(void *, memcpy, (void *, const void *, size_t))                \
    X(char *, stpcpy, (char *, const char *))                        \
    X(char *, stpncpy, (char *, const char *, size_t))               \
    X(char *, strcat, (char *, const char *))                        \
    X(char *, strncat, (char *, const char *, size_t))               \
    X(size_t, strlen, (const char *))                                \
    X(size_t, strnlen, (const char *, size_t))                       \
    X(pid_t, fork, (void))                                           \
    X(int, execve, (const char *, char *const[], char *const[]))     \
    X(int, execvpe, (const char *, char *const[], char *const[]))    \
    X(int, fexecve, (int, char *const[], char *const[]))             \
    X(int, execveat, (int, const char *, char *const[], char *const[], int)) \
    X(int, posix_spawn, (pid_t *, const char *, const void *, const void *, char *const[], char *const[])) \
    X(int, posix_spawnp, (pid_t *, const char *, const void *, const void *, char *const[], char *const[])) \
    X(void, _exit, (int))                                            \
    X(void, quick_exit, (int))                                       \
    X(int, dlclose, (void *))                                        \
    X(int, pthread_setname_np, (unsigned long, const char *))

#define REAL_MEMBER(type, name, parameters) type(*name) parameters;
struct real_functions {
    REAL_FUNCTIONS(REAL_MEMBER)
    void *(*dlsym)(void *, const char *);
    void *(*dlopen)(const char *, int);
};
#undef REAL_MEMBER

INTERNAL struct real_functions real;
/* 1 once `real` is filled in. */
INTERNAL _Atomic uint32_t real_ready;

/* Fill in `real`. Idempotent; a second thread waits for the first, the resolving thread itself gets 0 (use the bootstrap buffer). */
COLD int real_resolve(void);

/* 1 when `real` may be used. */
HOT_INLINE int real_available(void)
{
    /* Not as one expression: an expectation within the callers' own makes gcc 12 take all that follows for cold code. */
    if (unlikely(!atomic_load_explicit(&real_ready, memory_order_acquire)))
        return real_resolve();
    return 1;
}

/* Blocks from before `real` is available; never freed. */
void *bootstrap_allocate(size_t bytes, size_t alignment);
#define BOOTSTRAP_BYTES (64u << 10)
INTERNAL char bootstrap_buffer[BOOTSTRAP_BYTES];
HOT_INLINE bool bootstrap_owns(const void *block)
{
    return (uintptr_t)block - (uintptr_t)bootstrap_buffer < BOOTSTRAP_BYTES;
}
/* None was ever asked for. */
bool bootstrap_is_unused(void);
/* Bytes readable from `block` to the buffer's end: at least what was asked for. */
size_t bootstrap_size(const void *block);

/* Does the code at this address belong to the library that provides malloc, and is that not libc? Its own mmap and memcpy calls serve
 * blocks that were counted already. */
bool real_is_allocator(const void *return_address);

/* The addresses that the module of this address takes up; unchanged when there is none. */
void real_module_of(const void *address, uintptr_t *ret_start, uintptr_t *ret_end);

/* Look-up through the real dlsym, RTLD_NEXT from here. */
void *real_next(const char *name);

#endif
