/* An event stream with everything it needs, on a session in this process, writing into a temporary file. */
#ifndef HEAPLINE_TESTS_STREAM_FIXTURE_H
#define HEAPLINE_TESTS_STREAM_FIXTURE_H

#include <unistd.h>

#include "check.h"
#include "definition_intake.h"
#include "event_stream.h"
#include "session_fixture.h"

struct stream_fixture {
    struct session_header *session;
    int memfd, file;
    char path[64];
    struct trace_writer *writer;
    struct live_blocks blocks;
    struct definition_intake definitions;
    struct event_stream stream;
};

/* Ticks are nanoseconds here, from 1000000 at the trace's time 0; swaps are repaired over 100 of them. */
#define FIXTURE_START_TICKS 1000000ull
#define FIXTURE_SWAP_TICKS 100

static inline void stream_fixture_init(struct stream_fixture *fixture)
{
    struct trace_identity identity = {.session_id = 1, .pid = 1};
    strcpy(fixture->path, "/tmp/heapline-stream-XXXXXX");
    fixture->file = mkstemp(fixture->path);
    CHECK(fixture->file >= 0);
    CHECK_EQUAL(trace_writer_open(fixture->file, &identity, &fixture->writer), 0);
    fixture->session = session_new(&fixture->memfd, "", SESSION_COPIES);
    fixture->session->start_ticks = FIXTURE_START_TICKS;
    fixture->session->start_monotonic_ns = FIXTURE_START_TICKS;
    CHECK_EQUAL(live_blocks_init(&fixture->blocks, fixture->writer), 0);
    fixture->blocks.swap_ticks = FIXTURE_SWAP_TICKS;
    definition_intake_init(&fixture->definitions, fixture->writer);
    CHECK_EQUAL(event_stream_init(&fixture->stream, fixture->session, &fixture->blocks, &fixture->definitions), 0);
    tick_clock_update(&fixture->stream.clock, 2 * FIXTURE_START_TICKS, 2 * FIXTURE_START_TICKS);
}

static inline void stream_fixture_take_definitions(struct stream_fixture *fixture)
{
    definition_intake_take(&fixture->definitions, fixture->session, atomic_load(&fixture->session->definition_head));
}

static inline void stream_fixture_take(struct stream_fixture *fixture, uint64_t epoch, uint64_t stamp)
{
    event_stream_read_cursors(&fixture->stream);
    event_stream_take(&fixture->stream, (struct order_key){epoch, stamp});
    event_stream_publish(&fixture->stream);
}

/* What came out. The fixture is used up. */
static inline struct trace_listing *stream_fixture_end(struct stream_fixture *fixture)
{
    trace_writer_close(fixture->writer, NULL);
    struct trace_listing *listing = trace_listing_read(fixture->path);
    event_stream_done(&fixture->stream);
    definition_intake_done(&fixture->definitions);
    live_blocks_done(&fixture->blocks);
    session_free(fixture->session, fixture->memfd);
    close(fixture->file);
    unlink(fixture->path);
    return listing;
}

/* The events as text (trace_listing_text), compared. */
static inline void stream_fixture_expect(struct stream_fixture *fixture, const char *expected)
{
    struct trace_listing *listing = stream_fixture_end(fixture);
    char *text = trace_listing_text(listing);
    CHECK_STRING(text, expected);
    free(text);
    trace_listing_free(listing);
}

#endif
