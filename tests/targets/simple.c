/* A few allocations and copies of every kind: for builds with other allocators, static linking and plain preloading. */
#include <malloc.h>

#include "target.h"

static void *volatile kept[8];
static char from[100000], to[100000];

int main(int argc, char **argv)
{
    (void)argv;
    kept[0] = malloc(10000); // ALLOC malloc bytes=10000 count=1 live=10000 live_count=1 peak=10000
    kept[1] = calloc(10, 2000); // ALLOC calloc bytes=20000 count=1 live=20000 live_count=1 peak=20000
    kept[2] = realloc(NULL, 3000); // ALLOC realloc_null bytes=3000 count=1 live=3000 live_count=1
    kept[3] = realloc(malloc(500), 50000); // ALLOC realloc bytes=50500 count=2 live=50000 live_count=1 copied=?
    void *aligned = NULL;
    require(!posix_memalign(&aligned, 128, 1280)); // ALLOC posix_memalign bytes=1280 count=1 live=1280 live_count=1
    kept[4] = aligned_alloc(64, 640); // ALLOC aligned_alloc bytes=640 count=1 live=640 live_count=1
    kept[5] = memalign(64, 650); // ALLOC memalign bytes=650 count=1 live=650 live_count=1
    require(malloc_usable_size(kept[0]) >= 10000);
    for (int i = 0; i < 20000; i++) {
        void *block = malloc((size_t)(i % 1000)); // ALLOC churn bytes=9990000 count=20000 live_count=0 temporary=20000
        keep(block);
        free(block);
    }
    memcpy(to, from, opaque(sizeof to)); // ALLOC memcpy bytes=0 count=0 copied=100000 copies=1
    keep(to);
    void *top = malloc(16 * MIB); // ALLOC peak bytes=16*MIB count=1 live_count=0 peak=16*MIB
    keep(top);
    free(top);
    static const char said[] = "simple: done\n";
    require(write(1, said, sizeof said - 1) == sizeof said - 1);
    return argc == 1 ? 17 : 18;
}
