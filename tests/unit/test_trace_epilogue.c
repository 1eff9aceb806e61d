/* trace_epilogue.c: a trace without an end, cut anywhere, is made to say why, and how much is missing. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "trace_epilogue.h"
#include "trace_format.h"
#include "trace_reader.h"
#include "trace_writer.h"

#define SESSION 77
#define PID 4711

static char path[] = "/tmp/heapline-epilogue-XXXXXX";

static const struct trace_identity identity = {.session_id = SESSION, .pid = PID};

/* A trace of so many blocks, each with ten events, and its writer's unwritten rest of three. */
static int write_trace(unsigned blocks, const struct trace_end *end)
{
    struct trace_writer *writer;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    CHECK_EQUAL(trace_writer_open(file, &identity, &writer), 0);
    for (unsigned block = 0; block < blocks; block++) {
        trace_writer_time(writer, 1000 * (block + 1));
        for (int i = 0; i < 5; i++)
            trace_writer_free(writer, trace_writer_allocate(writer, 100 + block, 0, 0), 0);
        trace_writer_allocate(writer, 7, 0, 0);
        trace_writer_flush(writer);
    }
    CHECK_EQUAL(trace_writer_close(writer, end), 0);
    return file;
}

static off_t size_of(int file)
{
    struct stat about;
    CHECK_EQUAL(fstat(file, &about), 0);
    return about.st_size;
}

/* Reads all of it: the events of so many blocks, this figure, and no end. */
static void check_trace(unsigned blocks, uint64_t lost_events, const char *reason)
{
    struct trace_reader *reader;
    struct status_detail detail;
    struct trace_definition definition;
    struct trace_event event;
    char found[64] = "";
    CHECK_EQUAL(trace_reader_open(path, &reader, &detail), 0);
    const struct trace_overview *overview = trace_reader_overview(reader);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
    CHECK_EQUAL(overview->has_end, 0);
    CHECK_EQUAL(overview->event_count, 11 * blocks);
    CHECK_EQUAL(overview->end_time_ns, 1000 * blocks);
    while (trace_reader_next_block(reader, &detail) == 0) {
        while (trace_reader_next_definition(reader, &definition, &detail) == 0)
            if (definition.kind == TRACE_DEFINE_PROPERTY && !memcmp(definition.property.key, TRACE_CUT_PROPERTY, definition.property.key_bytes))
                snprintf(found, sizeof found, "%.*s", (int)definition.property.value_bytes, definition.property.value);
        int status;
        while ((status = trace_reader_next_event(reader, &event, &detail)) == 0)
            ;
        CHECK_EQUAL(status, STATUS_END);
    }
    CHECK_EQUAL(trace_reader_totals(reader)->lost_events, lost_events);
    CHECK_EQUAL(trace_reader_totals(reader)->event_count, 11 * blocks);
    CHECK_STRING(found, reason);
    trace_reader_close(reader);
}

/* Cut at every length, from within the first block's header on: what is left of a block goes. */
static void cut_anywhere(void)
{
    for (unsigned blocks = 0; blocks < 3; blocks++) {
        int file = write_trace(blocks, NULL);
        off_t whole = size_of(file);
        close(file);
        file = write_trace(blocks + 1, NULL);
        off_t longer = size_of(file);
        close(file);
        for (off_t length = whole; length < longer; length++) {
            file = write_trace(blocks + 1, NULL);
            CHECK_EQUAL(ftruncate(file, length), 0);
            struct trace_epilogue epilogue = {"it was killed", 11 * blocks + 5, 30};
            CHECK_EQUAL(trace_epilogue_write_of(file, SESSION, PID, &epilogue), 0);
            check_trace(blocks, 35, "it was killed");
            close(file);
        }
    }
}

/* Events are added up: what is appended is a tally in which nothing happens, once more and once more. */
static void added_up(void)
{
    struct trace_writer *writer;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_EQUAL(trace_writer_open(file, &identity, &writer), 0);
    for (unsigned block = 0; block < 4; block++) {
        if (block == 2)
            trace_writer_begin_tally(writer);
        trace_writer_time(writer, 1000 * (block + 1));
        for (int i = 0; i < 5; i++)
            trace_writer_free(writer, trace_writer_allocate(writer, 100 + block, 0, 0), 0);
        trace_writer_allocate(writer, 7, 0, 0);
        trace_writer_rss(writer, 8192);
        trace_writer_unknown_frees(writer, 3);
        trace_writer_flush(writer);
    }
    struct trace_totals totals = *trace_writer_totals(writer);
    CHECK_EQUAL(trace_writer_close(writer, NULL), 0);
    for (uint64_t lost = 5; lost < 8; lost++) {
        struct trace_reader *reader;
        struct status_detail detail;
        CHECK_EQUAL(trace_epilogue_write(file, &(struct trace_epilogue){"because", totals.event_count + 10, lost}), 0);
        CHECK_EQUAL(trace_reader_open(path, &reader, &detail), 0);
        CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
        struct tally_moment moment = {0};
        char found[64] = "";
        while (trace_reader_next_block(reader, &detail) == 0) {
            struct trace_definition definition;
            struct trace_event event;
            while (trace_reader_next_definition(reader, &definition, &detail) == 0)
                snprintf(found, sizeof found, "%.*s", (int)definition.property.value_bytes, definition.property.value);
            if (trace_reader_tally(reader))
                while (trace_reader_next_moment(reader, &moment))
                    ;
            else
                while (trace_reader_next_event(reader, &event, &detail) == 0)
                    ;
        }
        CHECK_EQUAL(trace_reader_damage(reader, &detail), 0);
        const struct trace_totals *read = trace_reader_totals(reader);
        CHECK_EQUAL(read->lost_events, 10 + lost);
        CHECK_EQUAL(read->event_count, totals.event_count);
        CHECK_EQUAL(read->live_bytes, 4 * 7);
        CHECK_EQUAL(read->peak_bytes, totals.peak_bytes);
        CHECK_EQUAL(read->unknown_frees, 3);
        CHECK_EQUAL(read->peak_rss_bytes, 8192);
        CHECK_EQUAL(moment.time_ns, 4000);
        CHECK_EQUAL(moment.heap_bytes, 4 * 7);
        CHECK_EQUAL(moment.rss_bytes, 8192);
        CHECK_STRING(found, "because");
        trace_reader_close(reader);
    }
    close(file);
}

static void again(void)
{
    int file = write_trace(2, NULL);
    CHECK_EQUAL(trace_epilogue_write(file, &(struct trace_epilogue){"first", 22, 1}), 0);
    check_trace(2, 1, "first");
    CHECK_EQUAL(trace_epilogue_write(file, &(struct trace_epilogue){"second", 23, 5000000000}), 0);
    check_trace(2, 5000000001, "second");
    /* Fewer were handed over than are there: a drain was under way. */
    CHECK_EQUAL(trace_epilogue_write(file, &(struct trace_epilogue){"third", 20, 3}), 0);
    check_trace(2, 1, "third");
    CHECK_EQUAL(trace_epilogue_write(file, &(struct trace_epilogue){"fourth", 10, 3}), 0);
    check_trace(2, 0, "fourth");
    close(file);
}

static void not_for_us(void)
{
    struct trace_epilogue epilogue = {"reason", 0, 1};
    int file = write_trace(2, NULL);
    off_t size = size_of(file);
    CHECK_EQUAL(trace_epilogue_write_of(file, SESSION + 1, PID, &epilogue), STATUS_INVALID);
    CHECK_EQUAL(trace_epilogue_write_of(file, SESSION, PID + 1, &epilogue), STATUS_INVALID);
    CHECK_EQUAL(size_of(file), size);
    close(file);
    file = write_trace(2, &(struct trace_end){.reason = TRACE_END_EXIT});
    size = size_of(file);
    CHECK_EQUAL(trace_epilogue_write_of(file, SESSION, PID, &epilogue), STATUS_INVALID);
    CHECK_EQUAL(size_of(file), size);
    CHECK_EQUAL(ftruncate(file, 50), 0);
    CHECK(trace_epilogue_write_of(file, SESSION, PID, &epilogue) < 0);
    CHECK_EQUAL(size_of(file), 50);
    close(file);
}

int main(void)
{
    close(mkstemp(path));
    cut_anywhere();
    again();
    added_up();
    not_for_us();
    unlink(path);
    return 0;
}
