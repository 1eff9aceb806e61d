/* Copies of known volume through every routine, called by name (no builtins); built once plain and once with _FORTIFY_SOURCE. */
#include <wchar.h>

#include "target.h"

#define SIZE 200000ul
static char from[SIZE + 1], to[2 * SIZE + 1];
static wchar_t wide_from[SIZE / 4], wide_to[SIZE / 4];

/* The compiler must see the objects' sizes for the checked forms, but not the lengths. */
static NOINLINE void blocks(void)
{
    size_t size = opaque(SIZE);
    memcpy(to, from, size); // ALLOC memcpy bytes=0 count=0 copied=200000 copies=1
    keep(to);
    memmove(from, from + 1000, size - 1000); // ALLOC memmove copied=199000 copies=1
    keep(from);
    void *end = mempcpy(to, from, size); // ALLOC mempcpy copied=200000 copies=1
    require(end == to + SIZE);
    for (int i = 0; i < 50; i++) {
        memcpy(to + i, from, size); // ALLOC memcpy_loop copied=10000000 copies=50
        keep(to);
    }
}

static NOINLINE void strings(void)
{
    memset(from, 'a', SIZE);
    from[SIZE] = 0;
    strcpy(to, from); // ALLOC strcpy copied=200001 copies=1
    keep(to);
    char *end = stpcpy(to, from); // ALLOC stpcpy copied=200001 copies=1
    require(end == to + SIZE);
    to[100] = 0;
    strcat(to, from); // ALLOC strcat copied=200001 copies=1
    require(to[SIZE + 99] == 'a' && !to[SIZE + 100]);
    strncpy(to, from, opaque(150000)); // ALLOC strncpy copied=150000 copies=1
    keep(to);
    to[0] = 0;
    strncat(to, from, opaque(120000)); // ALLOC strncat copied=120001 copies=1
    require(strlen(to) == 120000);
}

static NOINLINE void wide(void)
{
    wmemcpy(wide_to, wide_from, opaque(SIZE / 4)); // ALLOC wide/wmemcpy copied=200000 copies=1
    keep(wide_to);
}

/* Below any sensible threshold: in the totals only. */
static NOINLINE void small(void)
{
    for (int i = 0; i < 1000; i++) {
        memcpy(to, from, opaque(7));
        keep(to);
    }
}

int main(void)
{
    blocks();
    strings();
    wide();
    small();
    return 0;
}
