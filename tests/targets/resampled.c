/* Two threads that do the same in each of four phases, between which the test changes the sampling interval. Usage: resampled [fork]
 *
 * In each phase a thread allocates BLOCKS blocks by a function of that phase, keeps every fourth, and frees every second one of those that
 * are kept from earlier phases, and copies some bytes. `fork`: one thread; before phase 3 it makes a child, which goes on in its place.
 * tests/integration/test_resampling.py knows the sums. */
#include <pthread.h>
#include <sys/wait.h>

#include "target.h"

#define PHASES 4
#define THREADS 2
#define BLOCKS 100000
#define KEPT (BLOCKS / 4)
#define SIZES 8
#define COPIES 20000

static const size_t sizes[SIZES] = {16, 24, 40, 64, 200, 500, 1000, 3000};
static void *kept[THREADS][PHASES][KEPT];
static char from[8192];
static pthread_barrier_t gate;

static NOINLINE void *allocate_1(size_t size)
{
    return malloc(size);
}

static NOINLINE void *allocate_2(size_t size)
{
    return malloc(size);
}

static NOINLINE void *allocate_3(size_t size)
{
    return malloc(size);
}

static NOINLINE void *allocate_4(size_t size)
{
    return malloc(size);
}

static NOINLINE void copy(size_t bytes)
{
    char to[8192];
    memcpy(to, from, opaque(bytes));
    keep(to);
}

static void free_older(void **blocks)
{
    for (int i = 0, alive = 0; i < KEPT; i++)
        if (blocks[i] && alive++ % 2 == 0) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
}

static void work_in(int self, int phase)
{
    static void *(*const allocate[PHASES])(size_t) = {allocate_1, allocate_2, allocate_3, allocate_4};
    for (int i = 0; i < BLOCKS; i++) {
        void *block = allocate[phase](sizes[i / 4 % SIZES]);
        keep(block);
        if (i % 4 == 0)
            kept[self][phase][i / 4] = block;
        else
            free(block);
    }
    for (int i = 0; i < COPIES; i++)
        copy(sizes[i % SIZES]);
    for (int earlier = 0; earlier < phase; earlier++)
        free_older(kept[self][earlier]);
}

static void *work(void *argument)
{
    for (int phase = 0; phase < PHASES; phase++) {
        pthread_barrier_wait(&gate);
        work_in((int)(long)argument, phase);
        pthread_barrier_wait(&gate);
    }
    return NULL;
}

static void await_line(char phase)
{
    char answer, said[] = {phase, '\n'};
    require(write(1, said, 2) == 2);
    require(read(0, &answer, 1) == 1 && answer == '\n');
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++)
        require(!pthread_create(&threads[i], NULL, work, (void *)i));
    for (int phase = 0; phase < PHASES; phase++) {
        await_line((char)('1' + phase));
        pthread_barrier_wait(&gate);
        pthread_barrier_wait(&gate);
    }
    await_line('5');
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* One thread, as a fork leaves no more. */
static int run_forked(void)
{
    int status;
    for (int phase = 0; phase < PHASES; phase++) {
        await_line((char)('1' + phase));
        pid_t child = phase == 2 ? fork() : 0;
        if (child) {
            require(waitpid(child, &status, 0) == child);
            return WEXITSTATUS(status);
        }
        if (phase == 2)
            fact("child", getpid());
        work_in(0, phase);
    }
    await_line('5');
    return 0;
}

int main(int argc, char **argv)
{
    fact("pid", getpid());
    if (argc > 1 && !strcmp(argv[1], "fork"))
        return run_forked();
    run_threads();
    return 0;
}
