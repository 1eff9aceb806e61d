/* Events without end or so many as asked for: for full disks and damaged traces. Usage: many_events COUNT
 * Prints a line at the end: a program that was held up or killed by the recorder doesn't get there. */
#include "target.h"

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 100000;
    static void *blocks[4096];
    unsigned seed = 1;
    for (long i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned place = (seed >> 8) % 4096;
        free(blocks[place]);
        blocks[place] = malloc((seed >> 4) % 5000); // ALLOC block bytes=? count=event_count live=? live_count=? peak=?
    }
    fact("event_count", count);
    for (int i = 0; i < 4096; i++)
        free(blocks[i]);
    static const char said[] = "many_events: done\n";
    require(write(1, said, sizeof said - 1) == sizeof said - 1);
    return 13;
}
