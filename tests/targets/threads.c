/* Blocks that cross threads, in several patterns, by the million; phases with exact peaks. Usage: threads PATTERN [COUNT]
 * Every pattern frees all it allocated but for what its mark keeps live: a lost or swapped event shows as a live block or as
 * an unknown free. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "target.h"

#define THREADS 8
static long count;

/* ---- pipe: one producer, one consumer, a bounded queue without locks ---- */
#define QUEUE 1024
static void *_Atomic queue[QUEUE];

static void *pipe_consumer(void *unused)
{
    (void)unused;
    for (long i = 0; i < count; i++) {
        void *block;
        while (!(block = atomic_exchange_explicit(&queue[i % QUEUE], NULL, memory_order_acq_rel)))
            sched_yield();
        free(block);
    }
    return NULL;
}

static NOINLINE void pattern_pipe(void)
{
    pthread_t consumer;
    require(!pthread_create(&consumer, NULL, pipe_consumer, NULL));
    long bytes = 0;
    for (long i = 0; i < count; i++) {
        size_t size = 16 + (size_t)(i % 500);
        void *block = malloc(size); // ALLOC pipe/block bytes=pipe_bytes count=pipe_count live_count=0
        bytes += (long)size;
        void *expected = NULL;
        while (!atomic_compare_exchange_weak_explicit(&queue[i % QUEUE], &expected, block, memory_order_acq_rel, memory_order_relaxed)) {
            expected = NULL;
            sched_yield();
        }
    }
    pthread_join(consumer, NULL);
    fact("pipe_bytes", bytes);
    fact("pipe_count", count);
}

/* ---- pingpong: one block of one size, the address comes back at once in the other thread ---- */
static void *_Atomic ball;

static void *pong(void *unused)
{
    (void)unused;
    for (long i = 0; i < count; i++) {
        void *block;
        while (!(block = atomic_exchange_explicit(&ball, NULL, memory_order_acq_rel)))
            ;
        free(block);
        void *answer = malloc(48); // ALLOC pingpong/pong bytes=48*pingpong_count count=pingpong_count live_count=0
        keep(answer);
        free(answer);
    }
    return NULL;
}

static NOINLINE void pattern_pingpong(void)
{
    pthread_t other;
    require(!pthread_create(&other, NULL, pong, NULL));
    for (long i = 0; i < count; i++) {
        void *block = malloc(48); // ALLOC pingpong/ping bytes=48*pingpong_count count=pingpong_count live_count=0
        void *expected = NULL;
        while (!atomic_compare_exchange_weak_explicit(&ball, &expected, block, memory_order_acq_rel, memory_order_relaxed))
            expected = NULL;
    }
    pthread_join(other, NULL);
    fact("pingpong_count", count);
}

/* ---- exchange: all threads swap blocks through shared cells and free whatever they get ---- */
#define CELLS 64
static void *_Atomic cells[CELLS];
static _Atomic long exchange_bytes;

static void *exchanger(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument * 2654435761u + 1;
    long bytes = 0;
    for (long i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t size = 8 + (seed >> 16) % 200;
        void *block = malloc(size); // ALLOC exchange/block bytes=exchange_bytes count=exchange_count live_count=0
        bytes += (long)size;
        free(atomic_exchange(&cells[seed % CELLS], block));
    }
    atomic_fetch_add(&exchange_bytes, bytes);
    return NULL;
}

static NOINLINE void pattern_exchange(void)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        require(!pthread_create(&threads[i], NULL, exchanger, (void *)i));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CELLS; i++)
        free(atomic_exchange(&cells[i], NULL));
    fact("exchange_bytes", atomic_load(&exchange_bytes));
    fact("exchange_count", THREADS * count);
}

/* ---- resize: reallocs of blocks that another thread allocated and a third one frees ---- */
static void *resizer(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument * 40503u + 7;
    long bytes = 0;
    for (long i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        size_t size = 16 + (seed >> 12) % 3000;
        void *block = atomic_exchange(&cells[(seed >> 8) % CELLS], NULL);
        block = realloc(block, size); // ALLOC resize/block bytes=resize_bytes count=resize_count live_count=0 copied=?
        bytes += (long)size;
        free(atomic_exchange(&cells[seed % CELLS], block));
    }
    atomic_fetch_add(&exchange_bytes, bytes);
    return NULL;
}

static NOINLINE void pattern_resize(void)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        require(!pthread_create(&threads[i], NULL, resizer, (void *)i));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CELLS; i++)
        free(atomic_exchange(&cells[i], NULL));
    fact("resize_bytes", atomic_load(&exchange_bytes));
    fact("resize_count", THREADS * count);
}

/* ---- phases: all threads allocate, the main thread reaches the peak, all free what their neighbour allocated ---- */
#define PHASE_BLOCKS 1000
static void *owned[THREADS][PHASE_BLOCKS];
static pthread_barrier_t barrier;

static void *phase_worker(void *argument)
{
    long self = (long)argument, neighbour = (self + 1) % THREADS;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < PHASE_BLOCKS; i++) {
            owned[self][i] = malloc(1000); // ALLOC phases/block bytes=24000000 count=24000 live_count=0 peak=8000000 peak_count=8000
        }
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < PHASE_BLOCKS; i++)
            free(owned[neighbour][i]);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static NOINLINE void pattern_phases(void)
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++)
        require(!pthread_create(&threads[i], NULL, phase_worker, (void *)i));
    for (int round = 0; round < 3; round++) {
        pthread_barrier_wait(&barrier);
        void *top = malloc(round == 1 ? 20 * MIB : 10 * MIB); // ALLOC phases/top bytes=40*MIB count=3 live_count=0 peak=20*MIB peak_count=1
        keep(top);
        free(top);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* ---- many: far more short-lived threads than slots exist at any one time; each leaves a block to the next ---- */
static void *_Atomic legacy;

static void *heir(void *unused)
{
    free(atomic_exchange(&legacy, NULL));
    void *block = malloc(5000); // ALLOC many/block bytes=5000*many_count count=many_count live=5000 live_count=1
    atomic_store(&legacy, block);
    return unused;
}

static NOINLINE void pattern_many(void)
{
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        require(!pthread_create(&thread, NULL, heir, NULL));
        pthread_join(thread, NULL);
    }
    fact("many_count", count);
}

/* ---- turns: threads take turns under a mutex, so that exactly one records at a time; the block is handed on ---- */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *handed;

static void *turn_taker(void *unused)
{
    for (long i = 0; i < count; i++) {
        pthread_mutex_lock(&mutex);
        free(handed);
        handed = malloc(72); // ALLOC turns/block bytes=72*turns_count count=turns_count live=72 live_count=1 peak_count=1
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static NOINLINE void pattern_turns(void)
{
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        require(!pthread_create(&threads[i], NULL, turn_taker, NULL));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    void *top = malloc(16 * MIB); // ALLOC turns/top bytes=16*MIB count=1 live_count=0 peak=16*MIB
    keep(top);
    free(top);
    fact("turns_count", THREADS * count);
}

int main(int argc, char **argv)
{
    require(argc >= 2);
    count = argc > 2 ? atol(argv[2]) : 1000;
    if (!strcmp(argv[1], "pipe"))
        pattern_pipe();
    else if (!strcmp(argv[1], "pingpong"))
        pattern_pingpong();
    else if (!strcmp(argv[1], "exchange"))
        pattern_exchange();
    else if (!strcmp(argv[1], "resize"))
        pattern_resize();
    else if (!strcmp(argv[1], "phases"))
        pattern_phases();
    else if (!strcmp(argv[1], "many"))
        pattern_many();
    else if (!strcmp(argv[1], "turns"))
        pattern_turns();
    else
        return 2;
    return 0;
}
