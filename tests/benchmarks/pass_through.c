/* Three floors of a recorder that sits in front of the allocators, built from this file, preloaded by tests/benchmarks/run.
 *
 * "pass-through": its hooks, and nothing in them. What a program loses under it is the price of being looked at at all: calls that go through one
 * function more, memory copies and Python objects that lose their shortest way.
 *
 * "least-recorder" (-DLEAST_RECORDER): the hooks note each event's address and size in a small buffer of the thread that nobody reads, and an object's
 * stack as a sum over the instruction of each of its frames, a block's of a program without Python as a sum over as many words of its stack;
 * a stack that isn't among those noted lately is noted whole (least_recorder.h). The threads' order is a clock's reading on each event, where more than one
 * allocates. No recorder that keeps an exact event with its lines does less; this one could not be read, and survives no signal, fork or other
 * interpreter.
 *
 * "least-sampler" (-DLEAST_SAMPLER): the hooks count down to the next sampling point, and look at a filter when a block ends (least_sampler.h). Of
 * Python objects only allocations are looked at. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef LEAST_RECORDER
#include "least_recorder.h"
#define note_request(bytes) ((void)0)
#else
#define note_allocation(block, bytes, stack) ((void)0)
#define python_stack() 0
#define native_stack(frame) 0
#define find_frames() ((void)0)
#ifdef LEAST_SAMPLER
#include "least_sampler.h"
#define LEAVES_OBJECT_ENDS 1
#else
#define note_request(bytes) ((void)0)
#define note_deallocation(block) ((void)0)
#define note_copy(bytes) ((void)0)
#endif
#endif
#ifndef LEAVES_OBJECT_ENDS
#define LEAVES_OBJECT_ENDS 0
#endif

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
    note_request(bytes);
    void *block = __libc_malloc(bytes);
    note_allocation(block, bytes, native_stack(__builtin_frame_address(0)));
    return block;
}

EXPORT void *calloc(size_t count, size_t bytes)
{
    note_request(count * bytes);
    void *block = __libc_calloc(count, bytes);
    note_allocation(block, count * bytes, native_stack(__builtin_frame_address(0)));
    return block;
}

EXPORT void *realloc(void *old, size_t bytes)
{
    note_request(bytes);
    note_deallocation(old);
    void *block = __libc_realloc(old, bytes);
    note_allocation(block, bytes, native_stack(__builtin_frame_address(0)));
    return block;
}

EXPORT void free(void *block)
{
    note_deallocation(block);
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
    note_copy(bytes);
    return __builtin_expect(next_memcpy != NULL, 1) ? next_memcpy(to, from, bytes) : early_copy(to, from, bytes);
}

EXPORT void *memmove(void *to, const void *from, size_t bytes)
{
    note_copy(bytes);
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
    note_request(bytes);
    void *object = to->malloc(to->context, bytes);
    note_allocation(object, bytes, python_stack());
    return object;
}

static void *object_calloc(void *context, size_t count, size_t bytes)
{
    struct allocator *to = context;
    note_request(count * bytes);
    void *object = to->calloc(to->context, count, bytes);
    note_allocation(object, count * bytes, python_stack());
    return object;
}

static void *object_realloc(void *context, void *old, size_t bytes)
{
    struct allocator *to = context;
    note_request(bytes);
    note_deallocation(old);
    void *object = to->realloc(to->context, old, bytes);
    note_allocation(object, bytes, python_stack());
    return object;
}

static void object_free(void *context, void *block)
{
    struct allocator *to = context;
    note_deallocation(block);
    to->free(to->context, block);
}

__attribute__((constructor)) static void start(void)
{
    next_memcpy = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memcpy");
    next_memmove = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memmove");
    void (*get)(int, struct allocator *) = (void (*)(int, struct allocator *))dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    void (*set)(int, struct allocator *) = (void (*)(int, struct allocator *))dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    find_frames();
    for (int domain = MEM; get && set && domain < DOMAINS; domain++) {
        get(domain, &below[domain]);
        struct allocator hook = {&below[domain], object_malloc, object_calloc, object_realloc, LEAVES_OBJECT_ENDS ? below[domain].free : object_free};
        set(domain, &hook);
    }
}
