/* Sizes of 4 GiB and more, which no 32-bit field holds. Where the system refuses one, the line's truth is nothing. */
#include <sys/mman.h>

#include "target.h"

#define GIB (1024ul * MIB)

int main(void)
{
    char *block = malloc(5 * GIB + 1); // ALLOC malloc bytes=(5*GIB+1)*got count=got live_count=0
    fact("got", block != NULL);
    if (block) {
        char *grown = realloc(block, 6 * GIB + 2); // ALLOC realloc bytes=(6*GIB+2)*grown count=grown live_count=0 copied=?
        fact("grown", grown != NULL);
        block = grown ? grown : block;
        block[0] = 1;
    } else {
        fact("grown", 0);
    }
    void *cleared = calloc(5, GIB); // ALLOC calloc bytes=5*GIB*cleared count=cleared live=5*GIB*cleared peak=5*GIB*cleared
    fact("cleared", cleared != NULL);
    free(block);
    void *aligned = NULL;
    int error = posix_memalign(&aligned, 4096, 4 * GIB); // ALLOC posix_memalign bytes=4*GIB*aligned count=aligned live=4*GIB*aligned
    fact("aligned", error == 0);
    char *mapped = mmap(NULL, 8 * GIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); // ALLOC mmap bytes=8*GIB count=1 live_count=0
    require(mapped != MAP_FAILED);
    char *wider = mremap(mapped, 8 * GIB, 9 * GIB, MREMAP_MAYMOVE); // ALLOC mremap bytes=9*GIB count=1 live=4*GIB-4096
    require(wider != MAP_FAILED);
    require(!munmap(wider, 5 * GIB + 4096));
    return 0;
}
