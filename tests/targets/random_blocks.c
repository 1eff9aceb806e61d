/* Blocks of every kind at random places and of random sizes, the same in every run: hard to predict, so that traces grow, for recordings of
 * bounded size. Usage: random_blocks ROUNDS [WHAT …], where WHAT is
 *   early, late   64 MiB in the first or in the last tenth of the run: the high-water mark
 *   fork          in the middle a child is forked, which goes on with half as many rounds
 *   threads       three threads at once, each with a share of the rounds
 *   kill          ends by SIGKILL
 *   sleep         sleeps for a minute at the end; prints "ready" before
 * What is left at the end is what the last rounds left. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "target.h"

#define PLACES 2048
#define THREADS 3

struct blocks {
    void *blocks[PLACES];
    size_t sizes[PLACES];
    void *mapping;
    uint64_t seed;
    long rounds;
};

static unsigned next_random(struct blocks *blocks)
{
    blocks->seed = blocks->seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(blocks->seed >> 33);
}

static NOINLINE void *plain_block(size_t size)
{
    return malloc(size);
}

static NOINLINE void *zeroed_block(size_t size)
{
    return calloc(1, size);
}

static NOINLINE void *copied_block(const void *from, size_t from_size, size_t size)
{
    char *block = malloc(size);
    memcpy(block, from, opaque(from_size < size ? from_size : size));
    return block;
}

static NOINLINE void *resized_block(void *block, size_t size)
{
    return realloc(block, size);
}

static NOINLINE void brief_block(size_t size)
{
    void *block = malloc(size);
    keep(block);
    free(block);
}

static NOINLINE void change_mapping(struct blocks *blocks, unsigned random)
{
    if (blocks->mapping)
        munmap(blocks->mapping, 4 * MIB);
    blocks->mapping = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap((char *)blocks->mapping + (1 + random % 3) * MIB, 4096);
}

static void round_of(struct blocks *blocks)
{
    unsigned random = next_random(blocks), place = random % PLACES, size = 1 + next_random(blocks) % 3000;
    unsigned from = next_random(blocks) % PLACES;
    switch (random >> 20 & 7) {
    case 0:
        blocks->blocks[place] = resized_block(blocks->blocks[place], size);
        break;
    case 1:
        brief_block(size);
        return;
    case 2:
        if (blocks->blocks[from] && from != place) {
            free(blocks->blocks[place]);
            blocks->blocks[place] = copied_block(blocks->blocks[from], blocks->sizes[from], size);
            break;
        }
        return;
    case 3:
        free(blocks->blocks[place]);
        blocks->blocks[place] = zeroed_block(size);
        break;
    default:
        free(blocks->blocks[place]);
        blocks->blocks[place] = plain_block(size);
    }
    blocks->sizes[place] = size;
    if (random % 5000 == 0)
        change_mapping(blocks, random);
}

static void *go_round(void *argument)
{
    struct blocks *blocks = argument;
    for (long i = 0; i < blocks->rounds; i++)
        round_of(blocks);
    return NULL;
}

static NOINLINE void *high_water(void)
{
    return malloc(64 * MIB);
}

static int is_asked_for(int argc, char **argv, const char *what)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], what) == 0)
            return 1;
    return 0;
}

/* A tenth of the rounds. */
static void tenth(struct blocks *blocks, long rounds, int is_high)
{
    void *high = is_high ? high_water() : NULL;
    keep(high);
    blocks->rounds = rounds / 10;
    go_round(blocks);
    free(high);
}

static void go_round_in_threads(struct blocks *parts, long rounds)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        parts[i].seed = (uint64_t)i + 10;
        parts[i].rounds = rounds / THREADS;
        require(pthread_create(&threads[i], NULL, go_round, &parts[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
    static struct blocks blocks = {.seed = 1}, parts[THREADS];
    long rounds = argc > 1 ? atol(argv[1]) : 1000;
    int is_child = 0;
    for (int i = 0; i < 10; i++) {
        tenth(&blocks, rounds, (i == 0 && is_asked_for(argc, argv, "early")) || (i == 9 && is_asked_for(argc, argv, "late")));
        if (i == 4 && is_asked_for(argc, argv, "fork") && fork() == 0)
            is_child = 1;
    }
    if (!is_child && is_asked_for(argc, argv, "fork"))
        require(wait(NULL) > 0);
    if (is_asked_for(argc, argv, "threads"))
        go_round_in_threads(parts, rounds);
    if (is_asked_for(argc, argv, "sleep")) {
        require(write(1, "ready\n", 6) == 6);
        sleep(60);
    }
    if (is_asked_for(argc, argv, "kill"))
        raise(SIGKILL);
    return 0;
}
