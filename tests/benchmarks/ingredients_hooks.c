/* The target's side: what requests cost the thread that makes them, CPU time only. Run bare, under a pass-through preload and under
 * the recorder; the difference is the recorder's. Compiled without frame pointers, as programs are.
 *
 *     ingredients_hooks [NAME …]        what is measured: names that begin so
 *
 * Between runs it sleeps, so that the collector catches up and no run waits for room in a ring. */
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include "ingredients.h"

#define RUNS 24
#define PAUSE_MS 3
#define MAX_THREADS 4
#define BLOCK_BYTES 48
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noipa))
#endif

struct pattern {
    const char *name;
    void (*run)(const struct pattern *pattern, void *state, uint32_t count);
    void *(*prepare)(const struct pattern *pattern); /* NULL: no state */
    uint32_t count; /* operations of a run */
    uint32_t size;  /* live blocks, bytes or frames */
};

/* Keeps the compiler from seeing that a block is never used. */
static inline void *used(void *block)
{
    __asm__ volatile("" : "+r"(block) : : "memory");
    return block;
}

/* ---- blocks ---- */

static void run_same(const struct pattern *pattern, void *state, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(used(malloc(BLOCK_BYTES)));
}

struct fifo {
    void **blocks;
    uint32_t oldest;
};

static void *prepare_fifo(const struct pattern *pattern)
{
    struct fifo *fifo = checked(calloc(1, sizeof *fifo));
    fifo->blocks = checked(malloc(pattern->size * sizeof(void *)));
    for (uint32_t i = 0; i < pattern->size; i++) {
        fifo->blocks[i] = checked(malloc(BLOCK_BYTES));
        if (i % 20000 == 19999)
            pause_ms(PAUSE_MS);
    }
    return fifo;
}

static void run_fifo(const struct pattern *pattern, void *state, uint32_t count)
{
    struct fifo *fifo = state;
    for (uint32_t i = 0; i < count; i++) {
        void **block = &fifo->blocks[fifo->oldest];
        fifo->oldest = fifo->oldest + 1 == pattern->size ? 0 : fifo->oldest + 1;
        free(*block);
        *block = used(malloc(BLOCK_BYTES));
    }
}

/* Grows and shrinks by little: mostly in place. */
static void run_realloc(const struct pattern *pattern, void *state, uint32_t count)
{
    void *block = malloc(64);
    for (uint32_t i = 0; i < count; i++)
        block = used(realloc(block, 64 + 16 * (i & 1)));
    free(block);
}

/* The call by name: the compiler must not replace it. */
static void *(*volatile copy)(void *, const void *, size_t);

static void run_copy(const struct pattern *pattern, void *state, uint32_t count)
{
    static char from[1 << 16], to[1 << 16];
    for (uint32_t i = 0; i < count; i++)
        copy(to, from, pattern->size);
}

/* ---- native stacks ---- */

/* Calls that no compiler turns into jumps or merges: each is a return address of its own. */
#define CALL(call)                                                       \
    do {                                                                 \
        call;                                                            \
        __asm__ volatile("# call %0" : : "i"(__COUNTER__) : "memory");   \
    } while (0)

static NOINLINE void leaf_one(void)
{
    CALL(free(used(malloc(BLOCK_BYTES))));
}

static NOINLINE void leaf_two(void)
{
    char room[64];
    used(room);
    CALL(free(used(malloc(BLOCK_BYTES))));
}

static NOINLINE void repeat_same(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        CALL(leaf_one());
}

static NOINLINE void repeat_alternating(uint32_t count)
{
    for (uint32_t i = 0; i < count; i += 2) {
        CALL(leaf_one());
        CALL(leaf_two());
    }
}

#define FAN_LEVELS 3
#define FAN_LEAVES 1000 /* ten branches a level */

/* Every stack once: the innermost frame changes each time, the one below it each tenth time, and so on. */
static NOINLINE void fan_out(uint32_t level)
{
    if (level == 0) {
        CALL(leaf_one());
        return;
    }
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
    CALL(fan_out(level - 1));
}

static NOINLINE void fan(uint32_t count)
{
    CALL(fan_out(FAN_LEVELS));
}

/* So many frames down by a way that `path` names (two bits a frame), then `at_the_end`. */
static NOINLINE void descend(uint32_t frames, uint32_t path, void (*at_the_end)(uint32_t), uint32_t count)
{
    if (frames == 0) {
        CALL(at_the_end(count));
        return;
    }
    switch (path & 3) {
    case 0: CALL(descend(frames - 1, path >> 2, at_the_end, count)); break;
    case 1: CALL(descend(frames - 1, path >> 2, at_the_end, count)); break;
    case 2: CALL(descend(frames - 1, path >> 2, at_the_end, count)); break;
    default: CALL(descend(frames - 1, path >> 2, at_the_end, count)); break;
    }
}

static void run_deep_same(const struct pattern *pattern, void *state, uint32_t count)
{
    descend(pattern->size - 4, 0, repeat_same, count);
}

static void run_deep_alternating(const struct pattern *pattern, void *state, uint32_t count)
{
    descend(pattern->size - 4, 0, repeat_alternating, count);
}

/* The same stacks every time: their frames change, but all are known. */
static void run_deep_fan(const struct pattern *pattern, void *state, uint32_t count)
{
    descend(pattern->size - 4 - FAN_LEVELS, 0, fan, count);
}

/* Another way down each time, from the outermost frame on: all stacks are new. */
static void run_deep_new(const struct pattern *pattern, void *state, uint32_t count)
{
    static uint32_t path;
    descend(pattern->size - 4 - FAN_LEVELS, ++path, fan, count);
}

/* ---- runs ---- */

static const struct pattern patterns[] = {
    {"malloc same block", run_same, NULL, 10000, 0},
    {"malloc FIFO 1k", run_fifo, prepare_fifo, 10000, 1000},
    {"malloc FIFO 200k", run_fifo, prepare_fifo, 10000, 200000},
    {"realloc in place", run_realloc, NULL, 10000, 0},
    {"memcpy 16 B", run_copy, NULL, 10000, 16},
    {"memcpy 256 B", run_copy, NULL, 10000, 256},
    {"native same 10", run_deep_same, NULL, 5000, 10},
    {"native same 30", run_deep_same, NULL, 5000, 30},
    {"native same 60", run_deep_same, NULL, 5000, 60},
    {"native alternating 10", run_deep_alternating, NULL, 5000, 10},
    {"native alternating 30", run_deep_alternating, NULL, 5000, 30},
    {"native alternating 60", run_deep_alternating, NULL, 5000, 60},
    {"native fan 10", run_deep_fan, NULL, FAN_LEAVES, 10},
    {"native fan 30", run_deep_fan, NULL, FAN_LEAVES, 30},
    {"native fan 60", run_deep_fan, NULL, FAN_LEAVES, 60},
    {"native new 10", run_deep_new, NULL, FAN_LEAVES, 10},
    {"native new 30", run_deep_new, NULL, FAN_LEAVES, 30},
    {"native new 60", run_deep_new, NULL, FAN_LEAVES, 60},
};

static void measure(const struct pattern *pattern)
{
    struct series series = {0};
    void *state = pattern->prepare ? pattern->prepare(pattern) : NULL;
    for (int run = -1; run < RUNS; run++) {
        pause_ms(PAUSE_MS);
        double start = cpu_ns();
        pattern->run(pattern, state, pattern->count);
        double ns = (cpu_ns() - start) / pattern->count;
        if (run >= 0)
            series_add(&series, ns);
    }
    series_print(&series, pattern->name, "");
}

/* ---- threads ---- */

static struct {
    pthread_barrier_t barrier;
    const struct pattern *pattern;
    double ns[MAX_THREADS];
} team;

static void *work(void *argument)
{
    double *ns = argument;
    pin((int)((ns - team.ns) % sysconf(_SC_NPROCESSORS_ONLN))); /* side by side as far as cores reach */
    void *state = team.pattern->prepare(team.pattern);
    for (int run = -1; run < RUNS; run++) {
        pthread_barrier_wait(&team.barrier);
        double start = cpu_ns();
        team.pattern->run(team.pattern, state, team.pattern->count);
        *ns = cpu_ns() - start;
        pthread_barrier_wait(&team.barrier);
    }
    return NULL;
}

/* Mean over the threads, which start together. */
static void measure_threads(unsigned thread_count)
{
    static const struct pattern fifo = {"", run_fifo, prepare_fifo, 100000, 1000};
    struct series series = {0};
    pthread_t threads[MAX_THREADS];
    char name[32];
    team.pattern = &fifo;
    pthread_barrier_init(&team.barrier, NULL, thread_count + 1);
    for (unsigned i = 0; i < thread_count; i++)
        if (pthread_create(&threads[i], NULL, work, &team.ns[i]) != 0)
            exit(1);
    for (int run = -1; run < RUNS; run++) {
        double ns = 0;
        pause_ms(PAUSE_MS * (long)thread_count);
        pthread_barrier_wait(&team.barrier);
        pthread_barrier_wait(&team.barrier);
        for (unsigned i = 0; i < thread_count; i++)
            ns += team.ns[i];
        if (run >= 0)
            series_add(&series, ns / fifo.count / thread_count);
    }
    for (unsigned i = 0; i < thread_count; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&team.barrier);
    snprintf(name, sizeof name, "threads %u FIFO 1k", thread_count);
    series_print(&series, name, "");
}

int main(int count, char **arguments)
{
    copy = (void *(*)(void *, const void *, size_t))dlsym(RTLD_DEFAULT, "memcpy");
    pin(0); /* the collector, if there is one, was started where we were before */
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (is_wanted(patterns[i].name, arguments + 1))
            measure(&patterns[i]);
    for (unsigned threads = 1; threads <= MAX_THREADS; threads *= 2)
        if (is_wanted("threads", arguments + 1))
            measure_threads(threads);
    return 0;
}
