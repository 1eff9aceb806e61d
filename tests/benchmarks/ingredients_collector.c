/* The collector's side, ns an event: from words in a ring to a block in a file, without a target.
 *
 *     ingredients_collector [NAME …]        what is measured: names that begin so
 *
 * One thread, on another core where there is one, is the target: it fills a ring (or two) with a pattern's events and waits while
 * they are taken, so that words come from another core's cache and the pattern's own bookkeeping stays in that core. Figures:
 *   hand-over   events that change nothing: what taking words costs
 *   encode      all the way, without zstd
 *   writer      the trace writer alone, which is told slots: what is left of `encode` when nothing has to be looked up
 * zstd's time is taken apart (the linker puts __wrap_ZSTD_compress2 in its place); bytes an event are those of the file. */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "definition_intake.h"
#include "event_stream.h"
#include "event_words.h"
#include "ingredients.h"
#include "session_fixture.h"

#define CHUNK_EVENTS 16000u /* what a drain finds after a millisecond or less */
#define CHUNKS 120
#define RING_WORDS (256u << 10 >> 3)
#define STACKS 200u
#define MAX_PLAYERS 2

/* ---- patterns ---- */

struct operation {
    uint64_t address;
    uint32_t size, stack, slot; /* stack 0: a deallocation */
    uint32_t thread;
};

struct pattern {
    const char *name;
    void (*next)(const struct pattern *pattern, struct operation *pair); /* an allocation and a deallocation, in some order */
    uint32_t live_count;
    uint32_t thread_count;
};

/* The pattern's state. Blocks lie where malloc puts them: a freed place serves again soon, but not at once. */
#define REUSE_DELAY 64
static struct {
    uint32_t *live; /* places, in a ring or at random */
    uint32_t next, round;
    uint32_t free_places[REUSE_DELAY];
    struct live_slots slots; /* as the writer will assign them */
    uint32_t *slot_of;       /* by place */
} state;

#define PLACE_BYTES 64
static uint64_t address_of(uint32_t place)
{
    return 0x5555a0000010ull + (uint64_t)place * PLACE_BYTES;
}

static struct operation allocation(uint32_t place, uint32_t stack, uint32_t thread)
{
    state.slot_of[place] = live_slots_take(&state.slots, 0, 0, 0, 0);
    return (struct operation){address_of(place), 16 + stack % 7 * 24, stack, 0, thread};
}

static struct operation deallocation(uint32_t place, uint32_t thread)
{
    live_slots_release(&state.slots, state.slot_of[place]);
    return (struct operation){address_of(place), 0, 0, state.slot_of[place], thread};
}

static uint32_t reuse(uint32_t freed)
{
    uint32_t *place = &state.free_places[state.round++ % REUSE_DELAY], reused = *place;
    *place = freed;
    return reused;
}

static void next_same(const struct pattern *pattern, struct operation *pair)
{
    pair[0] = allocation(0, 1, 0);
    pair[1] = deallocation(0, 0);
}

static void next_fifo(const struct pattern *pattern, struct operation *pair)
{
    uint32_t *oldest = &state.live[state.next];
    uint32_t stack = 1 + state.next % 7;
    state.next = state.next + 1 == pattern->live_count ? 0 : state.next + 1;
    pair[0] = deallocation(*oldest, 0);
    pair[1] = allocation(*oldest = reuse(*oldest), stack, 0);
}

static void next_random(const struct pattern *pattern, struct operation *pair)
{
    uint32_t *victim = &state.live[random_next() % pattern->live_count];
    pair[0] = deallocation(*victim, 0);
    pair[1] = allocation(*victim = reuse(*victim), 1 + (uint32_t)(random_next() % STACKS), 0);
}

/* Each of two threads with a block of its own, side by side: every event is another thread's than the one before. */
static void next_threads(const struct pattern *pattern, struct operation *pair)
{
    int freeing = state.round++ & 1;
    for (uint32_t thread = 0; thread < 2; thread++)
        pair[thread] = freeing ? deallocation(thread, thread) : allocation(thread, 1 + thread, thread);
}

static void prepare(const struct pattern *pattern)
{
    uint32_t places = pattern->live_count + REUSE_DELAY;
    state.live = checked(realloc(state.live, places * sizeof *state.live));
    state.slot_of = checked(realloc(state.slot_of, places * sizeof *state.slot_of));
    state.next = state.round = 0;
    live_slots_done(&state.slots);
    for (uint32_t i = 0; i < places; i++)
        *(i < pattern->live_count ? &state.live[i] : &state.free_places[i - pattern->live_count]) = i;
}

static const struct pattern patterns[] = {
    {"same block", next_same, 0, 1},
    {"FIFO 1k", next_fifo, 1000, 1},
    {"FIFO 200k", next_fifo, 200000, 1},
    {"random 200k", next_random, 200000, 1},
    {"random 2M", next_random, 2000000, 1},
    {"alternating threads", next_threads, 0, 2},
};

/* ---- the filler: the target's thread ---- */

static struct {
    sem_t wanted, filled;
    const struct pattern *pattern;
    uint32_t first_live;  /* blocks allocated so far, up to the pattern's live_count */
    uint64_t epoch, ticks;
    struct player players[MAX_PLAYERS];
    struct operation operations[CHUNK_EVENTS];
    uint32_t count;
} filler;

static void put_words(const struct operation *operation)
{
    struct player *player = &filler.players[operation->thread];
    filler.ticks += 30;
    player->stamping = filler.pattern->thread_count > 1;
    if (operation->stack)
        player_allocate(player, EVENT_ALLOCATE, operation->address, operation->size, operation->stack, filler.ticks);
    else
        player_free(player, EVENT_FREE, operation->address, filler.ticks);
}

static void fill_chunk(void)
{
    filler.count = 0;
    filler.epoch++;
    for (uint32_t i = 0; i < filler.pattern->thread_count; i++)
        player_run(&filler.players[i], filler.epoch, filler.ticks);
    while (filler.count < CHUNK_EVENTS) {
        struct operation *pair = &filler.operations[filler.count];
        if (filler.first_live < filler.pattern->live_count) {
            pair[0] = allocation(filler.first_live++, 1, 0);
            filler.count++;
        } else {
            filler.pattern->next(filler.pattern, pair);
            filler.count += 2;
        }
        if (filler.count == CHUNK_EVENTS - 1)
            break;
    }
    for (uint32_t i = 0; i < filler.count; i++)
        put_words(&filler.operations[i]);
    for (uint32_t i = 0; i < filler.pattern->thread_count; i++)
        player_publish(&filler.players[i]);
}

/* Words of events that the collector takes and that change nothing: the end of a realloc that never began. */
static void fill_nothing(void)
{
    player_run(&filler.players[0], ++filler.epoch, filler.ticks);
    for (filler.count = 0; filler.count < CHUNK_EVENTS; filler.count++)
        player_free(&filler.players[0], EVENT_REALLOC_FAILED, 0x1000, 0);
    player_publish(&filler.players[0]);
}

static void *fill(void *unused)
{
    pin(1);
    for (;;) {
        sem_wait(&filler.wanted);
        if (filler.pattern)
            fill_chunk();
        else
            fill_nothing();
        sem_post(&filler.filled);
    }
    return unused;
}

static void next_chunk(void)
{
    sem_post(&filler.wanted);
    sem_wait(&filler.filled);
}

/* ---- zstd apart ---- */

static double zstd_ns;

size_t __real_ZSTD_compress2(ZSTD_CCtx *context, void *to, size_t to_bytes, const void *from, size_t from_bytes);
__attribute__((used)) size_t __wrap_ZSTD_compress2(ZSTD_CCtx *context, void *to, size_t to_bytes, const void *from, size_t from_bytes);

size_t __wrap_ZSTD_compress2(ZSTD_CCtx *context, void *to, size_t to_bytes, const void *from, size_t from_bytes)
{
    double start = cpu_ns();
    size_t result = __real_ZSTD_compress2(context, to, to_bytes, from, from_bytes);
    zstd_ns += cpu_ns() - start;
    return result;
}

/* ---- the collector ---- */

struct bench {
    struct session_header *session;
    int memfd, file;
    struct trace_writer *writer;
    struct live_blocks blocks;
    struct definition_intake definitions;
    struct event_stream stream;
};

static void bench_open(struct bench *bench, const struct pattern *pattern)
{
    struct trace_identity identity = {.session_id = 1, .pid = 1};
    bench->file = memfd_create("trace", 0);
    if (bench->file < 0 || trace_writer_open(bench->file, &identity, &bench->writer) || live_blocks_init(&bench->blocks, bench->writer))
        exit(1);
    bench->session = session_new(&bench->memfd, "", SESSION_COPIES);
    definition_intake_init(&bench->definitions, bench->writer);
    if (event_stream_init(&bench->stream, bench->session, &bench->blocks, &bench->definitions))
        exit(1);
    uint64_t ticks = 0, ns = 0;
    tick_clock_read(&ticks, &ns);
    tick_clock_update(&bench->stream.clock, ticks, ns);
    bench->blocks.swap_ticks = tick_clock_ticks(&bench->stream.clock, SWAP_NS);
    for (uint32_t i = 1; i <= STACKS; i++)
        session_define_node(bench->session, i, 0, 0x1000 + i);
    definition_intake_take(&bench->definitions, bench->session, atomic_load(&bench->session->definition_head));
    for (uint32_t i = 0; i < MAX_PLAYERS; i++)
        player_init(&filler.players[i], bench->session, i * RING_WORDS, RING_WORDS);
    filler.pattern = pattern;
    filler.first_live = 0;
    filler.epoch = 2;
    filler.ticks = ticks;
    if (pattern)
        prepare(pattern);
}

static void bench_close(struct bench *bench)
{
    trace_writer_close(bench->writer, NULL);
    event_stream_done(&bench->stream);
    definition_intake_done(&bench->definitions);
    live_blocks_done(&bench->blocks);
    session_free(bench->session, bench->memfd);
    close(bench->file);
}

static void take_words(struct bench *bench)
{
    event_stream_read_cursors(&bench->stream);
    event_stream_take(&bench->stream, ORDER_KEY_LAST);
    event_stream_publish(&bench->stream);
}

static void write_operations(struct bench *bench)
{
    for (uint32_t i = 0; i < filler.count; i++) {
        const struct operation *operation = &filler.operations[i];
        trace_writer_thread(bench->writer, 1 + operation->thread);
        if (operation->stack)
            trace_writer_allocate(bench->writer, operation->size, operation->stack, 0);
        else
            trace_writer_free(bench->writer, operation->slot, 0);
    }
}

static void measure(const char *stage, const struct pattern *pattern, void (*take)(struct bench *), char **wanted)
{
    struct series series = {0};
    struct bench bench = {0};
    char name[64], more[160] = "";
    snprintf(name, sizeof name, "%s%s%s", stage, pattern ? " " : "", pattern ? pattern->name : "");
    if (!is_wanted(name, wanted))
        return;
    bench_open(&bench, pattern);
    for (uint32_t i = 1; i <= MAX_PLAYERS && take == write_operations; i++)
        trace_writer_define(bench.writer, &(struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {.thread_id = i}});
    for (uint32_t live = 0; pattern && live < pattern->live_count; live += CHUNK_EVENTS) {
        next_chunk();
        take(&bench);
    }
    next_chunk();
    take(&bench);
    trace_writer_flush(bench.writer);
    uint64_t file_bytes = trace_writer_file_bytes(bench.writer), events = 0;
    double all_zstd_ns = zstd_ns = 0;
    for (int i = 0; i < CHUNKS; i++) {
        next_chunk();
        zstd_ns = 0;
        double start = cpu_ns();
        take(&bench);
        series_add(&series, (cpu_ns() - start - zstd_ns) / filler.count);
        all_zstd_ns += zstd_ns;
        events += filler.count;
    }
    zstd_ns = 0;
    trace_writer_flush(bench.writer);
    all_zstd_ns += zstd_ns;
    file_bytes = trace_writer_file_bytes(bench.writer) - file_bytes;
    if (pattern)
        snprintf(more, sizeof more, ", \"zstd\": %.3f, \"bytes\": %.4f", all_zstd_ns / (double)events, (double)file_bytes / (double)events);
    series_print(&series, name, more);
    bench_close(&bench);
}

int main(int count, char **arguments)
{
    pthread_t thread;
    sem_init(&filler.wanted, 0, 0);
    sem_init(&filler.filled, 0, 0);
    pin(0);
    if (pthread_create(&thread, NULL, fill, NULL) != 0)
        return 1;
    measure("hand-over", NULL, take_words, arguments + 1);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        measure("encode", &patterns[i], take_words, arguments + 1);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        measure("writer", &patterns[i], write_operations, arguments + 1);
    return 0;
}
