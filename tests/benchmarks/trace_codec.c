/* How fast and how small is the trace format? Prints ns per event of encoding (zstd and checksum included) and decoding, and
 * bytes per event with everything that is in the file, for made-up event streams or for those of existing traces.
 *
 *     trace_codec [TRACE …]
 *
 * Best of several runs, one thread, files in memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "trace_reader.h"
#include "trace_writer.h"

#define RUNS 7
#define SYNTHETIC_EVENTS 4000000u

struct compact_event {
    uint64_t number; /* size, time or count */
    uint64_t second; /* bytes of small copies */
    uint32_t slot, stack_or_thread;
    uint8_t kind, flags;
};

struct stream {
    struct compact_event *events;
    size_t count, capacity;
    uint32_t stack_count, thread_count;
    struct live_slots slots; /* while it is made */
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *checked(void *pointer)
{
    if (!pointer) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return pointer;
}

static struct compact_event *append(struct stream *stream)
{
    if (stream->count == stream->capacity) {
        stream->capacity = 2 * stream->capacity + 4096;
        stream->events = checked(realloc(stream->events, stream->capacity * sizeof(*stream->events)));
    }
    return memset(&stream->events[stream->count++], 0, sizeof(*stream->events));
}

/* ---- made-up streams ---- */

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 0x2545f4914f6cdd1dull >> 11) % bound;
}

static uint32_t stream_allocate(struct stream *stream, uint64_t size_bytes, uint32_t stack_id)
{
    uint32_t slot = live_slots_take(&stream->slots, size_bytes, 0, stack_id, 0);
    unsigned flags = size_bytes <= 512 ? TRACE_OBJECT | TRACE_IN_ARENA : TRACE_OBJECT;
    if (stack_id > stream->stack_count)
        stream->stack_count = stack_id;
    *append(stream) = (struct compact_event){
        .kind = TRACE_ALLOCATE, .number = size_bytes, .slot = slot, .stack_or_thread = stack_id, .flags = (uint8_t)flags};
    if (stream->count % 5000 == 0)
        *append(stream) = (struct compact_event){.kind = TRACE_TIME, .number = stream->count * 30};
    return slot;
}

static void stream_free(struct stream *stream, uint32_t slot)
{
    live_slots_release(&stream->slots, slot);
    *append(stream) = (struct compact_event){.kind = TRACE_FREE, .slot = slot};
}

/* A loop body of a few lines: each allocates temporary objects, some of which hold others, and now and then one is kept. */
static void make_loops(struct stream *stream)
{
    uint32_t kept[1000] = {0}, kept_count = 0;
    while (stream->count < SYNTHETIC_EVENTS) {
        uint32_t first_stack = 1 + 40 * (uint32_t)random_below(200), rounds = 50 + (uint32_t)random_below(2000);
        uint32_t lines = 2 + (uint32_t)random_below(12);
        for (uint32_t round = 0; round < rounds; round++) {
            for (uint32_t line = 0; line < lines; line++) {
                uint32_t outer = stream_allocate(stream, 56 + 8 * (uint64_t)(line % 3), first_stack + line);
                uint32_t inner = stream_allocate(stream, line % 4 ? 32 : 24 + random_below(300), first_stack + 20 + line);
                if (line % 5 == 3 && random_below(10) == 0 && kept_count < 1000)
                    kept[kept_count++] = inner;
                else
                    stream_free(stream, inner);
                stream_free(stream, outer);
            }
        }
        while (kept_count)
            stream_free(stream, kept[--kept_count]);
    }
}

/* A structure of records grows and is dropped, oldest first. */
static void make_growth(struct stream *stream)
{
    uint32_t *records = checked(malloc(4 * 300000 * sizeof(*records)));
    while (stream->count < SYNTHETIC_EVENTS) {
        uint32_t count = 0, wanted = 30000 + (uint32_t)random_below(270000);
        for (uint32_t i = 0; i < wanted; i++) {
            uint32_t temporary = stream_allocate(stream, 28, 11);
            records[count++] = stream_allocate(stream, 232, 12);
            records[count++] = stream_allocate(stream, 49 + random_below(40), 13);
            stream_free(stream, temporary);
            records[count++] = stream_allocate(stream, 24, 14);
            if (random_below(3) == 0)
                records[count++] = stream_allocate(stream, 72 + 8 * random_below(8), 15);
        }
        for (uint32_t i = 0; i < count; i++)
            stream_free(stream, records[i]);
    }
    free(records);
}

/* No pattern to be found: random stacks, sizes and lifetimes among 20,000 live blocks. The worst case. */
static void make_noise(struct stream *stream)
{
    static uint32_t live[20000];
    for (uint32_t i = 0; i < 20000; i++)
        live[i] = stream_allocate(stream, random_below(4000), 1 + (uint32_t)random_below(2000));
    while (stream->count < SYNTHETIC_EVENTS) {
        uint32_t victim = (uint32_t)random_below(20000);
        stream_free(stream, live[victim]);
        live[victim] = stream_allocate(stream, random_below(4000), 1 + (uint32_t)random_below(2000));
    }
}

/* Loops, sizes at random, LIFO and FIFO and random lifetimes one after the other. */
static void make_mixture(struct stream *stream)
{
    uint32_t live[512];
    while (stream->count < SYNTHETIC_EVENTS) {
        uint32_t first_stack = 1 + 64 * (uint32_t)random_below(100), rounds = 10 + (uint32_t)random_below(300);
        uint32_t count = 4 + (uint32_t)random_below(60), order = (uint32_t)random_below(3), regular = (uint32_t)random_below(4);
        for (uint32_t round = 0; round < rounds; round++) {
            for (uint32_t i = 0; i < count; i++)
                live[i] = stream_allocate(stream, regular ? 16 + 16 * (i % 5) : 1 + random_below(500), first_stack + i);
            for (uint32_t i = 0; i < count; i++) {
                uint32_t victim = order == 0 ? i : count - 1 - i;
                if (order == 2) {
                    victim = i + (uint32_t)random_below(count - i);
                    uint32_t slot = live[victim];
                    live[victim] = live[i];
                    live[i] = slot;
                    victim = i;
                }
                stream_free(stream, live[victim]);
            }
        }
    }
}

/* ---- streams of traces ---- */

static void append_event(struct stream *stream, const struct trace_event *event)
{
    struct compact_event *compact = append(stream);
    compact->kind = event->kind;
    compact->flags = event->flags;
    compact->slot = event->slot;
    compact->stack_or_thread = event->kind == TRACE_THREAD ? event->thread_id : event->stack_id;
    compact->number = event->kind == TRACE_TIME                                            ? event->time_ns
                      : event->kind == TRACE_SMALL_COPIES || event->kind == TRACE_UNKNOWN_FREES ? event->count
                                                                                                : event->size_bytes;
    compact->second = event->size_bytes;
}

static int load(struct stream *stream, const char *path)
{
    struct trace_reader *reader;
    struct trace_definition definition;
    struct trace_event event;
    struct status_detail detail;
    if (trace_reader_open(path, &reader, &detail)) {
        fprintf(stderr, "%s: %s\n", path, detail.message);
        return -1;
    }
    while (trace_reader_next_block(reader, NULL) == 0) {
        while (trace_reader_next_definition(reader, &definition, NULL) == 0) {
            stream->stack_count += definition.kind == TRACE_DEFINE_NODE;
            stream->thread_count += definition.kind == TRACE_DEFINE_THREAD;
        }
        while (trace_reader_next_event(reader, &event, NULL) == 0)
            append_event(stream, &event);
    }
    trace_reader_close(reader);
    return 0;
}

/* ---- measuring ---- */

static void define_stacks(struct trace_writer *writer, const struct stream *stream)
{
    for (uint32_t i = 1; i <= stream->stack_count; i++)
        trace_writer_define(writer, &(struct trace_definition){
            .kind = TRACE_DEFINE_NODE, .node = {.stack_id = i, .caller_id = i / 2, .frame_kind = TRACE_FRAME_NATIVE, .address = 64 * (uint64_t)i}});
    for (uint32_t i = 1; i <= stream->thread_count; i++)
        trace_writer_define(writer, &(struct trace_definition){.kind = TRACE_DEFINE_THREAD, .thread = {.thread_id = i}});
    trace_writer_flush(writer);
}

static void encode(struct trace_writer *writer, const struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        const struct compact_event *event = &stream->events[i];
        switch (event->kind) {
        case TRACE_ALLOCATE:
            trace_writer_allocate(writer, event->number, event->stack_or_thread, event->flags);
            break;
        case TRACE_FREE:
            trace_writer_free(writer, event->slot, event->flags);
            break;
        case TRACE_SHRINK:
            trace_writer_shrink(writer, event->slot, event->number);
            break;
        case TRACE_COPY:
            trace_writer_copy(writer, event->number, event->stack_or_thread);
            break;
        case TRACE_UNDO_FREE:
            trace_writer_undo_free(writer, event->number, event->stack_or_thread, event->flags);
            break;
        case TRACE_TIME:
            trace_writer_time(writer, event->number);
            break;
        case TRACE_THREAD:
            trace_writer_thread(writer, event->stack_or_thread);
            break;
        case TRACE_RSS:
            trace_writer_rss(writer, event->number);
            break;
        case TRACE_LOST:
            trace_writer_lost(writer, event->number);
            break;
        case TRACE_SMALL_COPIES:
            trace_writer_small_copies(writer, event->number, event->second);
            break;
        case TRACE_UNKNOWN_FREES:
            trace_writer_unknown_frees(writer, event->number);
            break;
        case TRACE_SAMPLING:
            trace_writer_sampling(writer, event->number);
            break;
        }
    }
    trace_writer_flush(writer);
}

static void decode(struct trace_reader *reader, uint64_t *ret_sum)
{
    struct trace_event event;
    uint64_t sum = 0;
    while (trace_reader_next_block(reader, NULL) == 0)
        while (trace_reader_next_event(reader, &event, NULL) == 0)
            sum += event.kind + event.slot;
    *ret_sum = sum;
}

static void measure(const char *name, const struct stream *stream)
{
    double best_encode = 1e30, best_decode = 1e30;
    uint64_t file_bytes = 0, event_count = 0, sum = 0;
    int file = memfd_create("trace", 0);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    for (int run = 0; run < RUNS; run++) {
        struct trace_writer *writer;
        struct trace_reader *reader;
        if (ftruncate(file, 0) || trace_writer_open(file, &(struct trace_identity){.pid = 1}, &writer))
            exit(1);
        define_stacks(writer, stream);
        uint64_t defined_bytes = trace_writer_file_bytes(writer);
        double start = now_ns();
        encode(writer, stream);
        double ns = now_ns() - start;
        best_encode = ns < best_encode ? ns : best_encode;
        file_bytes = trace_writer_file_bytes(writer) - defined_bytes;
        event_count = trace_writer_totals(writer)->event_count;
        trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT});
        if (trace_reader_open(path, &reader, NULL))
            exit(1);
        start = now_ns();
        decode(reader, &sum);
        ns = now_ns() - start;
        best_decode = ns < best_decode ? ns : best_decode;
        if (trace_reader_totals(reader)->event_count != event_count) {
            fprintf(stderr, "%s: not all events came back\n", name);
            exit(1);
        }
        trace_reader_close(reader);
    }
    double events = event_count ? (double)event_count : 1;
    printf("%-24.24s %9" PRIu64 " events %7.1f ns to encode %6.1f ns to decode %7.3f bytes an event\n", name, event_count,
           best_encode / events, best_decode / events, (double)file_bytes / events);
    close(file);
}

static void measure_made(const char *name, void (*make)(struct stream *))
{
    struct stream stream = {0};
    random_state = 88172645463325252ull;
    live_slots_init(&stream.slots);
    make(&stream);
    live_slots_done(&stream.slots);
    measure(name, &stream);
    free(stream.events);
}

int main(int count, char **arguments)
{
    if (count == 1) {
        measure_made("loops", make_loops);
        measure_made("growth", make_growth);
        measure_made("mixture", make_mixture);
        measure_made("noise", make_noise);
    }
    for (int i = 1; i < count; i++) {
        struct stream stream = {0};
        const char *name = strrchr(arguments[i], '/');
        if (load(&stream, arguments[i]))
            return 3;
        measure(name ? name + 1 : arguments[i], &stream);
        free(stream.events);
    }
    return 0;
}
