/* A program that is attached to while it waits for a line on its standard input, and does a known amount of work after each: its first thread,
 * one that was there before, and one that comes later. `attached fork`: a child does the work, and its parent waits for it. */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

#include "target.h"

static pthread_barrier_t gate;
static char from[50000], to[50000];
static void *old[20];

static NOINLINE void *allocate_early(size_t size)
{
    return malloc(size); // ALLOC early bytes=0 count=0
}

static NOINLINE void work(void)
{
    void *blocks[10];
    for (int i = 0; i < 10; i++)
        keep(blocks[i] = malloc(700)); // ALLOC kept bytes=rounds*3*10*700 count=rounds*3*10 live=rounds*3*6*700 live_count=rounds*3*6
    for (int i = 0; i < 4; i++)
        free(blocks[i]);
    keep(strdup("a text")); // ALLOC text bytes=? count=?
    memcpy(to, from, opaque(40000)); // ALLOC copy bytes=0 count=0 copied=rounds*3*40000 copies=rounds*3
}

static void *wait_and_work(void *unused)
{
    for (;;) {
        pthread_barrier_wait(&gate);
        work();
        pthread_barrier_wait(&gate);
    }
    return unused;
}

static void *work_once(void *unused)
{
    work();
    return unused;
}

static int await_line(int round)
{
    char byte, text[32];
    require(write(1, text, (size_t)snprintf(text, sizeof text, "%d %d\n", round, getpid())) > 0);
    return read(0, &byte, 1) == 1;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    for (int i = 0; i < 20; i++)
        old[i] = allocate_early(1000);
    pthread_barrier_init(&gate, NULL, 2);
    pthread_create(&thread, NULL, wait_and_work, NULL);
    int fork_first = argc > 1 && !strcmp(argv[1], "fork");
    for (int round = 0; await_line(round); round++) {
        int status;
        if (fork_first && round == 0) {
            pid_t child = fork();
            if (child == 0)
                _exit((work(), 0));
            require(waitpid(child, &status, 0) == child && status == 0);
        }
        free(old[round]);
        work();
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
        pthread_create(&thread, NULL, work_once, NULL);
        pthread_join(thread, NULL);
    }
    return 17;
}
