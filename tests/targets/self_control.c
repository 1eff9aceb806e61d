/* Says itself when it is to be recorded, by heapline.h. Prints what the functions returned. */
#include <heapline/heapline.h>

#include "target.h"

static NOINLINE void allocate_before(void)
{
    for (int i = 0; i < 10; i++)
        keep(malloc(1000)); // ALLOC before bytes=0 count=0
}

static NOINLINE void allocate_within(void)
{
    for (int i = 0; i < 20; i++)
        keep(malloc(2000)); // ALLOC within bytes=2*40000 count=2*20 live=40000 live_count=20
}

static NOINLINE void allocate_after(void)
{
    for (int i = 0; i < 30; i++)
        keep(malloc(3000)); // ALLOC after bytes=0 count=0
}

int main(void)
{
    int results[6], count = 0;
    allocate_before();
    results[count++] = heapline_start();
    allocate_within();
    results[count++] = heapline_start(); /* it is so already */
    results[count++] = heapline_stop();
    allocate_after();
    results[count++] = heapline_stop();
    allocate_after();
    results[count++] = heapline_start(); /* what was live is forgotten */
    allocate_within();
    results[count++] = heapline_is_recording();
    heapline_stop();
    printf("%d %d %d %d %d %d\n", results[0], results[1], results[2], results[3], results[4], results[5]);
    return 0;
}
