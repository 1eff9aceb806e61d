/* The cheapest preload there can be: hands every request on to libc. What the recorder costs beyond this is its own. */
#include <dlfcn.h>
#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

/* libc's own names: no dlsym, which allocates, before the first request. */
void *__libc_malloc(size_t size);
void __libc_free(void *block);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

EXPORT void *malloc(size_t size);
EXPORT void free(void *block);
EXPORT void *calloc(size_t count, size_t size);
EXPORT void *realloc(void *block, size_t size);
EXPORT void *memcpy(void *restrict to, const void *restrict from, size_t bytes);

/* Volatile: read at every call, as a resolved address is. */
static void *(*volatile real_malloc)(size_t) = __libc_malloc;
static void (*volatile real_free)(void *) = __libc_free;
static void *(*volatile real_realloc)(void *, size_t) = __libc_realloc;
static void *(*volatile real_memcpy)(void *, const void *, size_t);

void *malloc(size_t size)
{
    return real_malloc(size);
}

void free(void *block)
{
    real_free(block);
}

void *calloc(size_t count, size_t size)
{
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return real_realloc(block, size);
}

/* Before its constructor has run. */
static void *copy_bytes(void *to, const void *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
    return real_memcpy ? real_memcpy(to, from, bytes) : copy_bytes(to, from, bytes);
}

__attribute__((constructor)) static void find_memcpy(void)
{
    real_memcpy = (void *(*)(void *, const void *, size_t))dlsym(RTLD_NEXT, "memcpy");
}
