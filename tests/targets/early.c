/* Allocation before main: in a linked library's constructor, in the program's own, and from the program's .preinit_array. */
#include "target.h"

void *early_block(void);
static void *kept;

static void before_all(void)
{
    kept = malloc(9200); // ALLOC preinit bytes=? count=? live=? live_count=?
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

__attribute__((constructor)) static void own(void)
{
    kept = realloc(kept, 9300); // ALLOC constructor bytes=9300 count=1 live=9300 live_count=1 copied=?
}

int main(void)
{
    return early_block() && kept ? 0 : 1;
}
