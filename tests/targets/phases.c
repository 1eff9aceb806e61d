/* A program that goes from phase to phase when it is told to by a line on its standard input, so that the test can start and stop the
 * recording in between. Two threads do the same work. `phases fork`: first makes a child that does all this, and waits for it.
 *
 * Marks of the group first: recorded in phase 2 alone; both: in phases 2 and 4, where a start forgets what was live at the stop before. */
#include <pthread.h>
#include <sys/wait.h>

#include "target.h"

#define PHASES 4
#define THREADS 2

static pthread_barrier_t gate;
static char from[50000], to[50000];

struct blocks {
    void *old[10], *kept[20];
};

static NOINLINE void *allocate_old(size_t size)
{
    return malloc(size); // ALLOC old bytes=0 count=0
}

static NOINLINE void *allocate_kept(size_t size)
{
    return malloc(size); // ALLOC first/kept bytes=2*20*500 count=2*20 live=2*15*500 live_count=2*15
}

static void phase_1(struct blocks *blocks)
{
    for (int i = 0; i < 10; i++)
        keep(blocks->old[i] = allocate_old(1000));
    memcpy(to, from, opaque(20000)); // ALLOC early_copy bytes=0 count=0 copied=0 copies=0
}

static void phase_2(struct blocks *blocks)
{
    for (int i = 0; i < 4; i++)
        free(blocks->old[i]);
    keep(blocks->old[4] = realloc(blocks->old[4], opaque(2000))); // ALLOC first/resized bytes=2*2000 count=2 live=2*2000 live_count=2 copied=0
    for (int i = 0; i < 20; i++)
        keep(blocks->kept[i] = allocate_kept(500));
    for (int i = 0; i < 5; i++)
        free(blocks->kept[i]);
    memcpy(to, from, opaque(30000)); // ALLOC first/copy bytes=0 count=0 copied=2*30000 copies=2
}

static void phase_3(struct blocks *blocks)
{
    for (int i = 5; i < 10; i++)
        free(blocks->kept[i]);
    for (int i = 0; i < 7; i++)
        keep(malloc(300)); // ALLOC stopped bytes=0 count=0
}

static void phase_4(struct blocks *blocks)
{
    for (int i = 10; i < 20; i++)
        free(blocks->kept[i]);
    for (int i = 0; i < 3; i++)
        keep(malloc(100)); // ALLOC last/late bytes=2*300 count=2*3 live=2*300 live_count=2*3
    keep(realloc(malloc(opaque(100)), opaque(90))); // ALLOC last/shrunk bytes=2*190 count=2*2 live=2*90 live_count=2
}

static void *work(void *unused)
{
    static void (*const phases[PHASES])(struct blocks *) = {phase_1, phase_2, phase_3, phase_4};
    struct blocks blocks;
    (void)unused;
    for (int i = 0; i < PHASES; i++) {
        pthread_barrier_wait(&gate);
        phases[i](&blocks);
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

static void await_line(char phase)
{
    char answer;
    char said[] = {phase, '\n'};
    require(write(1, said, 2) == 2);
    require(read(0, &answer, 1) == 1 && answer == '\n');
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    int status;
    if (argc > 1 && !strcmp(argv[1], "fork") && fork() != 0) {
        require(wait(&status) > 0);
        return WEXITSTATUS(status);
    }
    fact("pid", getpid());
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < PHASES; i++) {
        await_line((char)('1' + i));
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
    }
    await_line('5');
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
