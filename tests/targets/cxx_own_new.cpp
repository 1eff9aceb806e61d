/* A program that replaces operator new and delete: a pool of its own, filled by one malloc. Only that malloc counts. */
#include <new>

extern "C" {
#include "target.h"
}

static char *pool;
static size_t used;

void *operator new(size_t size)
{
    if (!pool)
        pool = (char *)malloc(MIB); // ALLOC pool bytes=MIB count=1 live=MIB live_count=1 peak=MIB
    void *block = pool + used;
    used += (size + 15) & ~(size_t)15;
    return block;
}

void operator delete(void *) noexcept {}
void operator delete(void *, size_t) noexcept {}

int main()
{
    for (int i = 0; i < 100; i++) {
        int *number = new int(i); // ALLOC pooled bytes=0 count=0 live_count=0
        keep(number);
        delete number;
    }
    return used == 1600 ? 0 : 1;
}
