/* Programs of a million blocks whose sums are known, for recordings of a sample. Usage: sampled mixed | threads | reallocs | copies | fork
 *
 * tests/integration/test_sampling.py knows the sums and compares estimates with them. */
#include <pthread.h>
#include <sys/wait.h>

#include "target.h"

#define BLOCKS 1000000
#define KEPT (BLOCKS / 4)
#define SIZES 8

static const size_t sizes[SIZES] = {16, 24, 40, 64, 200, 500, 1000, 0};
static void *kept[KEPT];

static NOINLINE void *allocate(size_t size)
{
    return malloc(size);
}

/* Every fourth block stays for a while, every sixteenth to the end. */
static void mixed(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        void *block = allocate(sizes[i / 4 % SIZES]);
        keep(block);
        if (i % 4 == 0)
            kept[i / 4] = block;
        else
            free(block);
    }
    for (int i = 0; i < KEPT; i++)
        if (i % 4 != 0)
            free(kept[i]);
}

#define THREADS 4

static pthread_barrier_t all_allocated;

/* Each thread frees what another has allocated. */
static void *allocate_and_free(void *argument)
{
    long self = (long)argument;
    for (long i = self; i < KEPT; i += THREADS)
        keep(kept[i] = allocate(sizes[i / THREADS % SIZES]));
    pthread_barrier_wait(&all_allocated);
    for (long i = (self + 1) % THREADS; i < KEPT; i += THREADS)
        free(kept[i]);
    return NULL;
}

static void threads(void)
{
    pthread_t ids[THREADS];
    pthread_barrier_init(&all_allocated, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        require(!pthread_create(&ids[i], NULL, allocate_and_free, (void *)i));
    for (int i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
}

/* Buffers that grow by doubling and shrink to a third, as many at a time as keep them from growing in place. */
static void reallocs(void)
{
    static char *buffers[50];
    long moved_bytes = 0, moves = 0;
    for (int turn = 0; turn < 400; turn++) {
        for (size_t size = 50; size <= 50 << 10; size *= 2)
            for (int i = 0; i < 50; i++) {
                char *before = buffers[i];
                require((buffers[i] = realloc(before, size)) != NULL);
                if (before && buffers[i] != before) {
                    moved_bytes += (long)size / 2;
                    moves++;
                }
            }
        for (int i = 0; i < 50; i++) {
            char *before = buffers[i];
            require((buffers[i] = realloc(before, 17000)) != NULL);
            if (buffers[i] != before) {
                moved_bytes += 17000;
                moves++;
            }
            free(buffers[i]);
            buffers[i] = NULL;
        }
    }
    fact("moved_bytes", moved_bytes);
    fact("moves", moves);
}

static char from[8192], to[8192];

static void copies(void)
{
    for (int i = 0; i < BLOCKS; i++)
        memcpy(to, from, opaque(sizes[i % (SIZES - 1)]));
    for (int i = 0; i < 10000; i++)
        memcpy(to, from, opaque(8000));
}

/* What the parent keeps is freed by its child. */
static void forked(void)
{
    int status;
    for (int i = 0; i < KEPT; i++)
        keep(kept[i] = allocate(sizes[i % SIZES]));
    pid_t child = fork();
    if (child != 0) {
        fact("child", child);
        require(waitpid(child, &status, 0) == child && status == 0);
        return;
    }
    for (int i = 0; i < KEPT; i++)
        free(kept[i]);
    for (int i = 0; i < KEPT / 2; i++)
        keep(kept[i] = allocate(sizes[i % SIZES]));
    for (int i = 0; i < KEPT / 4; i++)
        free(kept[i]);
}

int main(int argc, char **argv)
{
    require(argc == 2);
    const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"mixed", mixed}, {"threads", threads}, {"reallocs", reallocs}, {"copies", copies}, {"fork", forked}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(argv[1], modes[i].name)) {
            modes[i].run();
            return 0;
        }
    return 1;
}
