/* A program that defines malloc itself, as one that is linked statically with another allocator does: the dynamic linker binds
 * every call to it, and no preloaded library is asked. */
#include "target.h"

static char pool[8 * MIB];
static size_t used;

void *malloc(size_t size)
{
    void *block = pool + used + 16;
    *(size_t *)(pool + used) = size;
    used += ((size + 15) & ~15ul) + 16;
    return used <= sizeof pool ? block : NULL;
}

void free(void *block)
{
    (void)block;
}

void *calloc(size_t count, size_t size)
{
    return malloc(count * size);
}

void *realloc(void *old, size_t size)
{
    void *block = malloc(size);
    if (old && block) {
        size_t old_size = ((size_t *)old)[-2];
        memcpy(block, old, old_size < size ? old_size : size);
    }
    return block;
}

int main(void)
{
    for (int i = 0; i < 1000; i++) {
        void *block = malloc(100);
        require(block);
        free(block);
    }
    puts("own malloc: done");
    return 19;
}
