/* The reader's side, ns an event of an existing trace: decoding alone, and the replay that makes a report of it.
 *
 *     ingredients_replay TRACE [NAME …]        what is measured: names that begin so */
#include "ingredients.h"
#include "replay.h"

#define RUNS 3

static uint64_t decode(const char *path)
{
    struct trace_reader *reader;
    struct trace_event event;
    struct status_detail detail;
    if (trace_reader_open(path, &reader, &detail)) {
        fprintf(stderr, "%s: %s\n", path, detail.message);
        exit(1);
    }
    while (trace_reader_next_block(reader, NULL) == 0)
        while (trace_reader_next_event(reader, &event, NULL) == 0)
            ;
    uint64_t events = trace_reader_totals(reader)->event_count;
    trace_reader_close(reader);
    return events;
}

static uint64_t replay(const char *path)
{
    struct replay *replay;
    struct status_detail detail;
    if (replay_run(path, NULL, NULL, &replay, &detail)) {
        fprintf(stderr, "%s: %s\n", path, detail.message);
        exit(1);
    }
    uint64_t events = replay->totals.event_count;
    replay_free(replay);
    return events;
}

static void measure(const char *name, uint64_t (*pass)(const char *), const char *path, char **wanted)
{
    struct series series = {0};
    char more[64];
    uint64_t events = 0;
    if (!is_wanted(name, wanted))
        return;
    for (int run = 0; run < RUNS; run++) {
        double start = cpu_ns();
        events = pass(path);
        series_add(&series, (cpu_ns() - start) / (double)events);
    }
    snprintf(more, sizeof more, ", \"events\": %llu", (unsigned long long)events);
    series_print(&series, name, more);
}

int main(int count, char **arguments)
{
    if (count < 2) {
        fputs("usage: ingredients_replay TRACE [NAME …]\n", stderr);
        return 2;
    }
    pin(0);
    measure("replay decode", decode, arguments[1], arguments + 2);
    measure("replay decode and aggregate", replay, arguments[1], arguments + 2);
    return 0;
}
