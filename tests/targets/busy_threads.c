/* Threads that allocate all the time, each freeing what the others have allocated, while the test starts and stops the recording. At a line on
 * standard input all of them pause, do what is known to the byte, and go on; at the end nothing of the rest is left. */
#include <pthread.h>
#include <stdatomic.h>

#include "target.h"

#define THREADS 6
#define PLACES 256

static pthread_barrier_t gate;
static _Atomic int is_asked, is_over;
static _Atomic(void *) places[PLACES];

static NOINLINE void known(void)
{
    for (int i = 0; i < 30; i++) {
        void *block = malloc(4000); // ALLOC known bytes=6*30*4000 count=6*30 live=6*20*4000 live_count=6*20
        keep(block);
        if (i % 3 == 0)
            free(block);
    }
}

static void *work(void *number)
{
    unsigned random = (unsigned)(uintptr_t)number;
    while (!is_over) {
        random = random * 1103515245 + 12345;
        size_t size = 16 + (random >> 8) % 500;
        void *block = random & 64 ? malloc(size) : random & 128 ? calloc(1, size) : realloc(malloc(8), size);
        keep(block);
        free(atomic_exchange(&places[(random >> 16) % PLACES], block));
        if (is_asked) {
            pthread_barrier_wait(&gate);
            known();
            pthread_barrier_wait(&gate);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    char answer;
    fact("pid", getpid());
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1));
    require(write(1, "1\n", 2) == 2 && read(0, &answer, 1) == 1);
    is_asked = 1;
    pthread_barrier_wait(&gate);
    is_asked = 0;
    pthread_barrier_wait(&gate);
    require(write(1, "2\n", 2) == 2 && read(0, &answer, 1) == 1);
    is_over = 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < PLACES; i++)
        free(places[i]);
    return 0;
}
