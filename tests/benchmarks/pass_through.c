/* The floor of a recorder that sits in front of the allocators: its hooks, and nothing in them. Preloaded by tests/benchmarks/run as
 * "pass-through", and by tests/benchmarks/ingredients. What a program loses under it is the price of being looked at at all: calls that go
 * through one function more, memory copies and Python objects that lose their shortest way. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* libc's own names: no dlsym, which allocates, before the first request. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *block, size_t bytes);
void __libc_free(void *block);

static void *(*next_memcpy)(void *, const void *, size_t);
static void *(*next_memmove)(void *, const void *, size_t);

EXPORT void *malloc(size_t bytes)
{
    return __libc_malloc(bytes);
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    return __libc_calloc(count, bytes);
}

EXPORT void *realloc(void *block, size_t bytes)
{
    return __libc_realloc(block, bytes);
}

EXPORT void free(void *block)
{
    __libc_free(block);
}

static void *early_copy(char *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((volatile char *)to)[i] = from[i];
    return to;
}

EXPORT void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    return __builtin_expect(next_memcpy != NULL, 1) ? next_memcpy(to, from, bytes) : early_copy(to, from, bytes);
}

EXPORT void *memmove(void *to, const void *from, size_t bytes)
{
    if (__builtin_expect(next_memmove != NULL, 1))
        return next_memmove(to, from, bytes);
    if ((char *)to <= (const char *)from)
        return early_copy(to, from, bytes);
    while (bytes--)
        ((volatile char *)to)[bytes] = ((const char *)from)[bytes];
    return to;
}

/* CPython's PyMemAllocatorEx. */
struct allocator {
    void *context;
    void *(*malloc)(void *, size_t);
    void *(*calloc)(void *, size_t, size_t);
    void *(*realloc)(void *, void *, size_t);
    void (*free)(void *, void *);
};

enum { RAW, MEM, OBJECT, DOMAINS };

static struct allocator below[DOMAINS];

static void *object_malloc(void *context, size_t bytes)
{
    struct allocator *to = context;
    return to->malloc(to->context, bytes);
}

static void *object_calloc(void *context, size_t count, size_t bytes)
{
    struct allocator *to = context;
    return to->calloc(to->context, count, bytes);
}

static void *object_realloc(void *context, void *block, size_t bytes)
{
    struct allocator *to = context;
    return to->realloc(to->context, block, bytes);
}

static void object_free(void *context, void *block)
{
    struct allocator *to = context;
    to->free(to->context, block);
}

__attribute__((constructor)) static void start(void)
{
    next_memcpy = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memcpy");
    next_memmove = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memmove");
    void (*get)(int, struct allocator *) = (void (*)(int, struct allocator *))dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    void (*set)(int, struct allocator *) = (void (*)(int, struct allocator *))dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    for (int domain = MEM; get && set && domain < DOMAINS; domain++) {
        get(domain, &below[domain]);
        struct allocator hook = {&below[domain], object_malloc, object_calloc, object_realloc, object_free};
        set(domain, &hook);
    }
}
