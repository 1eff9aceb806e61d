/* Blocks of known sizes, and bounds of the classes that `heapline sizes` counts them in. */
#include "target.h"

static void *volatile kept[8];

int main(void)
{
    static const size_t bounds[] = {0, 1, 8, 9, 16, 17, 64, 65};
    for (int i = 0; i < 8; i++)
        kept[i] = malloc(bounds[i]); // ALLOC bounds bytes=180 count=8 live=180 live_count=8
    for (int i = 0; i < 1000; i++) {
        void *block = malloc(100); // ALLOC churn bytes=100000 count=1000 temporary=1000
        keep(block);
        free(block);
    }
    void *top = malloc(3 * MIB); // ALLOC top bytes=3*MIB count=1 peak=3*MIB
    keep(top);
    free(top);
    return 0;
}
