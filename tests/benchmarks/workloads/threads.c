/* So many threads that allocate at once, each through a ring of blocks of its own: the same number of events in all, however many threads
 * share them. A lock on the path of an event would show here. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIVE_BLOCKS 256

struct work {
    pthread_t thread;
    long allocations;
    unsigned long long state;
    long total;
};

static void *allocate(void *argument)
{
    struct work *work = argument;
    char *live[LIVE_BLOCKS] = {0};
    for (long made = 0; made < work->allocations; made++) {
        work->state = work->state * 6364136223846793005ull + 1442695040888963407ull;
        size_t bytes = 16 + (work->state >> 33) % 496;
        char **slot = &live[made % LIVE_BLOCKS];
        if (*slot) {
            work->total += (*slot)[0];
            free(*slot);
        }
        *slot = malloc(bytes);
        memset(*slot, (int)made, bytes);
    }
    for (int i = 0; i < LIVE_BLOCKS; i++)
        free(live[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    long events = argc > 2 ? atol(argv[2]) : 1000000;
    struct work *works = calloc((size_t)threads, sizeof *works);
    long total = 0;
    for (int i = 0; i < threads; i++) {
        works[i].allocations = events / 2 / threads;
        works[i].state = (unsigned long long)i + 1;
        if (pthread_create(&works[i].thread, NULL, allocate, &works[i]) != 0)
            return 1;
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(works[i].thread, NULL);
        total += works[i].total;
    }
    free(works);
    printf("%ld\n", total);
    return 0;
}
