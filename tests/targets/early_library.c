/* Linked into early.c: allocates in a constructor that runs before the program's own, and copies while relocations are young. */
#include "target.h"

__attribute__((visibility("default"))) void *early_block(void);
static void *block;
static char from[60000], to[60000];

__attribute__((constructor(101))) static void first(void)
{
    block = malloc(9100); // ALLOC early_library bytes=9100 count=1 live=9100 live_count=1
    memcpy(to, from, opaque(sizeof to)); // ALLOC early_copy bytes=0 count=0 copied=60000 copies=1
    keep(to);
}

void *early_block(void)
{
    return block;
}
