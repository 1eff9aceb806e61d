/* Allocation under a recursion of known depth. Usage: deep DEPTH */
#include <sys/resource.h>

#include "target.h"

static NOINLINE int descend(int depth)
{
    if (depth == 0) {
        void *block = malloc(4400); // ALLOC bottom bytes=4400 count=1 live=4400 live_count=1 peak=4400
        keep(block);
        return 1;
    }
    int below = descend(depth - 1);
    keep(&below);
    return below + 1;
}

int main(int argc, char **argv)
{
    require(argc == 2);
    int depth = atoi(argv[1]);
    return descend(depth) == depth + 1 ? 0 : 1;
}
