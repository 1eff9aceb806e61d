/* A known sequence of allocations and frees, acknowledged step by step in a shared file: killed at any moment, its trace must hold
 * exactly a prefix of the sequence that ends at or right after the last acknowledged step. Usage: steps FILE [STEPS]
 *
 * Step n allocates n % 997 + 1 bytes; when n % 3 is 0 it then frees the block of step n - 30. */
#include <sys/mman.h>

#include "target.h"

int main(int argc, char **argv)
{
    require(argc >= 2);
    long steps = argc > 2 ? atol(argv[2]) : 1000000000;
    int file = open(argv[1], O_RDWR | O_CREAT, 0644);
    require(file >= 0 && !ftruncate(file, 4096));
    volatile long *done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    require(done != MAP_FAILED);
    static void *blocks[64];
    for (long n = 0; n < steps; n++) {
        void *block = malloc((size_t)(n % 997) + 1); // ALLOC step bytes=? count=? live=? live_count=?
        done[0] = n + 1;
        if (n % 3 == 0 && n >= 30) {
            free(blocks[(n - 30) % 64]);
            done[1] = n / 3 - 9;
        }
        blocks[n % 64] = block;
    }
    return 0;
}
