/* Linked at a fixed address, with malloc's address in its code: the linker makes the executable's own jump to malloc what everyone sees. */
#include <stdlib.h>

#include "target.h"

int main(void)
{
    void *(*volatile allocate)(size_t) = malloc;
    void *block = allocate(1000);
    require(block != NULL);
    free(block);
    return 0;
}
