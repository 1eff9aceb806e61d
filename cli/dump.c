/* heapline dump: the records of a trace as they stand in the file, a line each. The format's debugger: it reads no report database. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dump_record.h"
#include "message.h"
#include "reading.h"
#include "trace_reader.h"

struct dump_settings {
    struct reading reading;
    int definitions_only;
};

static const struct option_spec dump_options[] = {
    {"json", 0, OPTION_SET, offsetof(struct dump_settings, reading.json), 1, NULL, "one JSON document, its records in an array"},
    {"definitions", 0, OPTION_SET, offsetof(struct dump_settings, definitions_only), 1, NULL, "leave out events"},
    {"limit", 'n', OPTION_COUNT, offsetof(struct dump_settings, reading.limit), 0, "N", "stop after N records; 0: all (the default)"},
    {0},
};

struct dump {
    const struct dump_settings *settings;
    struct trace_reader *reader;
    struct dump_writer writer;
    int64_t limit, written;
};

static int limit_reached(const struct dump *dump)
{
    return dump->limit && dump->written >= dump->limit;
}

/* Nothing, if the current block lists its events. */
static void dump_tally_block(struct dump *dump)
{
    const struct trace_tally *tally = trace_reader_tally(dump->reader);
    struct tally_moment moment;
    struct tally_stack stack;
    if (!tally)
        return;
    dump_tally(&dump->writer, tally);
    for (dump->written++; !limit_reached(dump) && trace_reader_next_moment(dump->reader, &moment); dump->written++)
        dump_tally_moment(&dump->writer, &moment);
    for (; !limit_reached(dump) && trace_reader_next_tally_stack(dump->reader, &stack); dump->written++)
        dump_tally_stack(&dump->writer, &stack, tally->has_peak);
}

/* Definitions and events of the current block. Returns what ended it: STATUS_END, or an error in `detail`. */
static int dump_block(struct dump *dump, struct status_detail *detail)
{
    struct trace_definition definition;
    struct trace_event event;
    int status = 0;
    while (!limit_reached(dump) && (status = trace_reader_next_definition(dump->reader, &definition, detail)) == STATUS_OK) {
        dump_definition(&dump->writer, &definition);
        dump->written++;
    }
    if (status < 0 || limit_reached(dump))
        return status < 0 ? status : STATUS_END;
    if (!dump->settings->definitions_only)
        dump_tally_block(dump);
    while (!limit_reached(dump) && (status = trace_reader_next_event(dump->reader, &event, detail)) == STATUS_OK) {
        if (dump->settings->definitions_only)
            continue;
        dump_event(&dump->writer, &event);
        dump->written++;
    }
    return status < 0 ? status : STATUS_END;
}

/* All blocks. Returns 0, or the error that stopped it. */
static int dump_blocks(struct dump *dump, struct status_detail *detail)
{
    int status = 0;
    uint64_t number = 0;
    while (!limit_reached(dump) && (status = trace_reader_next_block(dump->reader, detail)) == STATUS_OK) {
        dump_block_start(&dump->writer, ++number, trace_reader_position(dump->reader));
        status = dump_block(dump, detail);
        if (status < 0)
            return status;
    }
    return status < 0 ? status : 0;
}

static int run_dump(int argc, char **argv)
{
    struct dump_settings settings = {.reading = READING_INIT};
    struct dump dump = {.settings = &settings};
    struct status_detail detail = {0}, damage = {0};
    reading_parse(&dump_command, &settings.reading, argc, argv, 1);
    dump.limit = reading_limit(&settings.reading, 0);
    errno = 0;
    int status = trace_reader_open(settings.reading.trace, &dump.reader, &detail);
    if (status)
        fail_trace(settings.reading.trace, status, &detail);
    const struct trace_overview *overview = trace_reader_overview(dump.reader);
    dump_begin(&dump.writer, settings.reading.json, overview);
    status = dump_blocks(&dump, &detail);
    int damaged = status ? status : trace_reader_damage(dump.reader, &damage);
    dump_end(&dump.writer, overview, !limit_reached(&dump), damaged ? (status ? &detail : &damage) : NULL);
    trace_reader_close(dump.reader);
    if (damaged)
        fail_trace(settings.reading.trace, damaged, status ? &detail : &damage);
    return CLI_DONE;
}

const struct command dump_command = {
    .name = "dump",
    .question = "the trace's records as text: the format's debugger",
    .usage = "[OPTIONS] TRACE",
    .description = "Prints the records of a trace in order, one a line: what the trace says of itself, its blocks, definitions (code objects, "
                   "stacks, modules, threads, properties) and events. Reads the trace itself, never a cached report; what is before the "
                   "damage in a damaged one is shown, and the exit status is 3.",
    .examples = "heapline dump app.heapline | less\n"
                "heapline dump --definitions app.heapline | grep 'code '\n"
                "heapline dump --json --limit 1000 app.heapline",
    .statuses = "0  done\n2  wrong usage\n3  the trace cannot be read, or not to its end\n4  the system refused something",
    .options = {dump_options},
    .run = run_dump,
};
