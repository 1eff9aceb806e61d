/* Traces that are cut, flipped or made up: an error that names the place, or a shorter and truthful trace; never another
 * one. */
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "checksum.h"
#include "trace_block.h"
#include "trace_script.h"

/* ---- a small trace, whole in memory ---- */

#define MAX_BLOCKS 64

struct sample {
    struct script script;
    uint8_t *bytes;
    size_t count;
    uint64_t ends[MAX_BLOCKS];   /* of the file header (0) and of each block, in the file */
    uint64_t events[MAX_BLOCKS]; /* read so far then, those included that trace_totals doesn't count */
    size_t end_count;
};

/* End a block after every `interval` steps. */
static void flush_often(struct script *script, size_t interval)
{
    struct script_step *steps = malloc(2 * script->count * sizeof(*steps));
    size_t count = 0;
    CHECK(steps);
    for (size_t i = 0; i < script->count; i++) {
        steps[count++] = script->steps[i];
        if (i % interval == interval - 1)
            steps[count++] = (struct script_step){.what = STEP_FLUSH};
    }
    free(script->steps);
    script->steps = steps;
    script->count = script->capacity = count;
}

static struct sample sample_of(uint64_t seed, size_t steps)
{
    struct sample sample = {0};
    struct trace_reader *reader;
    struct trace_event event;
    script_random(&sample.script, seed, steps);
    flush_often(&sample.script, 1 + steps / 8);
    int file = script_record(&sample.script, TRACE_END_EXIT);
    sample.count = (size_t)lseek(file, 0, SEEK_END);
    sample.bytes = malloc(sample.count);
    CHECK(sample.bytes && pread(file, sample.bytes, sample.count, 0) == (ssize_t)sample.count);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    sample.ends[sample.end_count++] = TRACE_FILE_HEADER_BYTES;
    while (trace_reader_next_block(reader, NULL) == 0) {
        CHECK(sample.end_count < MAX_BLOCKS - 1);
        sample.events[sample.end_count] = sample.events[sample.end_count - 1];
        while (trace_reader_next_event(reader, &event, NULL) == 0)
            sample.events[sample.end_count]++;
        sample.ends[sample.end_count++] = trace_reader_position(reader);
    }
    sample.events[sample.end_count] = sample.events[sample.end_count - 1];
    sample.ends[sample.end_count++] = sample.count;
    CHECK(sample.end_count > 4);
    trace_reader_close(reader);
    close(file);
    return sample;
}

static void sample_done(struct sample *sample)
{
    script_done(&sample->script);
    free(sample->bytes);
}

static void write_file(int file, const void *bytes, size_t count)
{
    CHECK_EQUAL(ftruncate(file, 0), 0);
    CHECK_EQUAL(pwrite(file, bytes, count, 0), count);
}

/* ---- cuts ---- */

static void check_cut(const struct sample *sample, int file, size_t cut)
{
    struct trace_reader *reader;
    struct status_detail detail = {0};
    write_file(file, sample->bytes, cut);
    int status = script_reader(file, &reader, &detail);
    if (cut < TRACE_FILE_HEADER_BYTES) {
        CHECK_EQUAL(status, cut < 12 ? STATUS_NOT_A_TRACE : STATUS_CORRUPT);
        CHECK_EQUAL(detail.status, status);
        return;
    }
    CHECK_EQUAL(status, 0);
    size_t last = 0;
    while (last + 1 < sample->end_count && sample->ends[last + 1] <= cut)
        last++;
    const struct trace_overview *overview = trace_reader_overview(reader);
    CHECK_EQUAL(overview->good_bytes, sample->ends[last]);
    CHECK_EQUAL(overview->block_count, last);
    CHECK_EQUAL(overview->has_end, cut == sample->count);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), cut == sample->ends[last] ? 0 : STATUS_TRUNCATED);
    if (cut != sample->ends[last])
        CHECK_EQUAL(detail.offset, sample->ends[last]);
    struct script_progress progress = script_check(&sample->script, reader, &detail);
    CHECK_EQUAL(progress.status, STATUS_END);
    CHECK_EQUAL(progress.events, sample->events[last]);
    CHECK_EQUAL(trace_reader_totals(reader)->event_count, overview->event_count);
    CHECK_EQUAL(trace_reader_totals(reader)->peak_event, overview->peak_event);
    CHECK_EQUAL(trace_reader_totals(reader)->peak_bytes, overview->peak_bytes);
    trace_reader_close(reader);
}

static void every_cut(void)
{
    struct sample sample = sample_of(3, 600);
    int file = script_open_file();
    for (size_t cut = 0; cut <= sample.count; cut++)
        check_cut(&sample, file, cut);
    close(file);
    sample_done(&sample);
}

/* ---- flips ---- */

/* Returns 1 if the reader found something wrong; what it gave out before that was right. */
static int damage_is_noticed(const struct script *script, int file)
{
    struct trace_reader *reader;
    struct status_detail detail = {0};
    int status = script_reader(file, &reader, &detail);
    if (status) {
        CHECK(status == STATUS_NOT_A_TRACE || status == STATUS_NEWER_VERSION || status == STATUS_CORRUPT);
        CHECK_EQUAL(detail.status, status);
        return 1;
    }
    int damage = trace_reader_damage(reader, &detail);
    struct script_progress progress = script_check(script, reader, &detail);
    CHECK(progress.status == STATUS_END || progress.status == STATUS_CORRUPT);
    if (damage || progress.status < 0)
        CHECK(strstr(detail.message, "byte"));
    trace_reader_close(reader);
    return damage || progress.status < 0;
}

static void every_flip(void)
{
    struct sample sample = sample_of(4, 160);
    int file = script_open_file();
    write_file(file, sample.bytes, sample.count);
    CHECK(!damage_is_noticed(&sample.script, file));
    for (size_t at = 0; at < sample.count; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t flipped = sample.bytes[at] ^ (uint8_t)(1u << bit);
            CHECK_EQUAL(pwrite(file, &flipped, 1, (off_t)at), 1);
            if (!damage_is_noticed(&sample.script, file)) {
                fprintf(stderr, "flipping bit %u of byte %zu goes unnoticed\n", bit, at);
                exit(1);
            }
            CHECK_EQUAL(pwrite(file, &sample.bytes[at], 1, (off_t)at), 1);
        }
    close(file);
    sample_done(&sample);
}

/* A bad payload in the middle: the headers still tell the whole length, reading ends at that block and stays there. */
static void bad_payload(void)
{
    struct sample sample = sample_of(5, 600);
    struct trace_reader *reader;
    struct status_detail detail = {0};
    struct trace_event event;
    struct trace_definition definition;
    int file = script_open_file();
    size_t bad = sample.end_count / 2;
    sample.bytes[sample.ends[bad] + TRACE_BLOCK_HEADER_BYTES + 3] ^= 0x10;
    write_file(file, sample.bytes, sample.count);
    CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
    CHECK_EQUAL(trace_reader_damage(reader, NULL), 0);
    CHECK_EQUAL(trace_reader_overview(reader)->event_count, sample.script.totals.event_count);
    CHECK_EQUAL(trace_reader_overview(reader)->good_bytes, sample.count);
    struct script_progress progress = script_check(&sample.script, reader, &detail);
    CHECK_EQUAL(progress.status, STATUS_CORRUPT);
    CHECK_EQUAL(progress.events, sample.events[bad]);
    CHECK_EQUAL(detail.offset, sample.ends[bad]);
    CHECK_EQUAL(detail.status, STATUS_CORRUPT);
    CHECK_EQUAL(trace_reader_next_block(reader, NULL), STATUS_CORRUPT);
    CHECK_EQUAL(trace_reader_next_event(reader, &event, NULL), STATUS_CORRUPT);
    CHECK_EQUAL(trace_reader_next_definition(reader, &definition, NULL), STATUS_CORRUPT);
    trace_reader_close(reader);
    close(file);
    sample_done(&sample);
}

/* Blocks that are good, but in another order, left out, or of another trace. */
static void shuffled_blocks(void)
{
    struct sample sample = sample_of(6, 600);
    struct trace_reader *reader;
    struct status_detail detail = {0};
    int file = script_open_file();
    uint8_t *bytes = malloc(sample.count);
    size_t first = sample.ends[1] - sample.ends[0], rest = sample.count - sample.ends[1];
    CHECK(bytes);
    memcpy(bytes, sample.bytes, TRACE_FILE_HEADER_BYTES);
    memcpy(bytes + TRACE_FILE_HEADER_BYTES, sample.bytes + sample.ends[1], rest);
    memcpy(bytes + TRACE_FILE_HEADER_BYTES + rest, sample.bytes + TRACE_FILE_HEADER_BYTES, first);
    write_file(file, bytes, sample.count);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), STATUS_CORRUPT);
    CHECK_EQUAL(detail.offset, TRACE_FILE_HEADER_BYTES);
    CHECK_EQUAL(trace_reader_overview(reader)->block_count, 0);
    CHECK_EQUAL(trace_reader_next_block(reader, NULL), STATUS_END);
    trace_reader_close(reader);

    /* something behind the end block */
    bytes = realloc(bytes, sample.count + 1);
    CHECK(bytes);
    memcpy(bytes, sample.bytes, sample.count);
    bytes[sample.count] = 0;
    write_file(file, bytes, sample.count + 1);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), STATUS_CORRUPT);
    CHECK_EQUAL(detail.offset, sample.count);
    CHECK(trace_reader_overview(reader)->has_end);
    CHECK_EQUAL(script_check(&sample.script, reader, NULL).events, sample.events[sample.end_count - 1]);
    trace_reader_close(reader);
    free(bytes);
    close(file);
    sample_done(&sample);
}

/* A block is missing that held no event: only the sequence tells. */
static void missing_block(void)
{
    struct script script = {0};
    struct trace_reader *reader;
    struct status_detail detail = {0};
    uint8_t bytes[4096];
    script_node(&script, 0);
    script_flush(&script);
    script_node(&script, 1);
    int file = script_record(&script, TRACE_END_EXIT);
    ssize_t count = pread(file, bytes, sizeof(bytes), 0);
    uint64_t first_bytes = TRACE_BLOCK_HEADER_BYTES + get_u32(bytes + TRACE_FILE_HEADER_BYTES + 16);
    memmove(bytes + TRACE_FILE_HEADER_BYTES, bytes + TRACE_FILE_HEADER_BYTES + first_bytes,
            (size_t)count - TRACE_FILE_HEADER_BYTES - first_bytes);
    write_file(file, bytes, (size_t)count - first_bytes);
    CHECK_EQUAL(script_reader(file, &reader, NULL), 0);
    CHECK_EQUAL(trace_reader_damage(reader, &detail), STATUS_CORRUPT);
    CHECK_STRING(detail.message, "block 1 stands where block 0 should be, at byte 96");
    CHECK_EQUAL(trace_reader_overview(reader)->block_count, 0);
    trace_reader_close(reader);
    close(file);
    script_done(&script);
}

/* ---- other files ---- */

static void check_refused(const void *bytes, size_t count, int expected, const char *message)
{
    struct trace_reader *reader = NULL;
    struct status_detail detail = {0};
    int file = script_open_file();
    write_file(file, bytes, count);
    CHECK_EQUAL(script_reader(file, &reader, &detail), expected);
    CHECK_EQUAL(detail.status, expected);
    CHECK_STRING(detail.message, message);
    CHECK(!reader);
    close(file);
}

static void not_traces(void)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    char text[] = "#!/bin/sh\necho this is a script of some length, which is no trace at all, but longer than a trace's header\n";
    struct trace_reader *reader;
    struct status_detail detail;
    check_refused("", 0, STATUS_NOT_A_TRACE, "not a heapline trace");
    check_refused(text, sizeof(text), STATUS_NOT_A_TRACE, "not a heapline trace");
    trace_file_header_pack(&script_identity, header);
    put_u32(header + 8, 7);
    check_refused(header, sizeof(header), STATUS_NEWER_VERSION, "trace of format version 7, this heapline reads up to version 5");
    check_refused(header, 20, STATUS_NEWER_VERSION, "trace of format version 7, this heapline reads up to version 5");
    trace_file_header_pack(&script_identity, header);
    header[60] ^= 1;
    check_refused(header, sizeof(header), STATUS_CORRUPT, "the checksum of the file header is wrong");
    CHECK_EQUAL(trace_reader_open("/nonexistent/trace", &reader, &detail), STATUS_SYSTEM);
    CHECK_EQUAL(trace_reader_open("/", &reader, &detail), STATUS_SYSTEM);
}

/* ---- blocks that someone made up: the checksums are right, the contents aren't ---- */

struct made_up {
    const uint8_t *section[SECTION_COUNT];
    uint32_t bytes[SECTION_COUNT];
    uint32_t event_count;
    uint32_t claimed_raw_bytes; /* 0: the true ones */
    uint64_t end_outside_bytes, peak_bytes;
    uint32_t peak_event;
};

static int made_up_file(const struct made_up *made)
{
    static uint8_t raw[65536], stored[65536];
    uint8_t header[TRACE_BLOCK_HEADER_BYTES], file_header[TRACE_FILE_HEADER_BYTES];
    size_t raw_bytes = TRACE_SECTION_TABLE_BYTES;
    for (int i = 0; i < SECTION_COUNT; i++) {
        put_u32(raw + 4 * i, made->bytes[i]);
        if (made->section[i]) {
            memcpy(raw + raw_bytes, made->section[i], made->bytes[i]);
            raw_bytes += made->bytes[i];
        }
    }
    struct trace_block block = {
        .type = TRACE_BLOCK_DATA,
        .raw_bytes = made->claimed_raw_bytes ? made->claimed_raw_bytes : (uint32_t)raw_bytes,
        .stored_bytes = (uint32_t)ZSTD_compress(stored, sizeof(stored), raw, raw_bytes, 1),
        .event_count = made->event_count,
        .peak_event = made->peak_event,
        .peak_bytes = made->peak_bytes,
        .end_level.outside_bytes = made->end_outside_bytes,
    };
    block.payload_checksum = checksum_crc32c(stored, block.stored_bytes);
    trace_file_header_pack(&script_identity, file_header);
    trace_block_pack(&block, header);
    int file = script_open_file();
    CHECK_EQUAL(write(file, file_header, sizeof(file_header)), sizeof(file_header));
    CHECK_EQUAL(write(file, header, sizeof(header)), sizeof(header));
    CHECK_EQUAL(write(file, stored, block.stored_bytes), block.stored_bytes);
    return file;
}

/* Reads all of it; expects `message` to be part of the error's (NULL: no error). */
static void check_made_up(const struct made_up *made, const char *message)
{
    struct trace_reader *reader;
    struct trace_event event;
    struct status_detail detail = {0};
    int file = made_up_file(made);
    CHECK_EQUAL(script_reader(file, &reader, &detail), 0);
    int status = trace_reader_damage(reader, &detail);
    if (!status)
        status = trace_reader_next_block(reader, &detail);
    while (!status)
        status = trace_reader_next_event(reader, &event, &detail);
    CHECK_EQUAL(status, message ? STATUS_CORRUPT : STATUS_END);
    if (message && !strstr(detail.message, message)) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", detail.message, message);
        exit(1);
    }
    if (message)
        CHECK_EQUAL(detail.offset, TRACE_FILE_HEADER_BYTES);
    trace_reader_close(reader);
    close(file);
}

#define SECTION(name, ...)                                                     \
    .section[SECTION_##name] = (const uint8_t[]){__VA_ARGS__}, .bytes[SECTION_##name] = sizeof((const uint8_t[]){__VA_ARGS__})

static void made_up_blocks(void)
{
    /* the pieces that the cases below spoil: one stack, one allocation of 5 bytes by it, its deallocation */
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_NODE, TRACE_FRAME_CUT, 0), SECTION(OPS, 0x0d, 0x10), SECTION(SIZES, 5),
                                    SECTION(CLASSES, CLASS_ALLOCATE), SECTION(DISTANCES, 0), .event_count = 2, .peak_event = 1, .peak_bytes = 5},
                  NULL);
    check_made_up(&(struct made_up){SECTION(OPS, 0x0d), SECTION(SIZES, 5), SECTION(CLASSES, CLASS_ALLOCATE), .event_count = 1}, "undefined stack");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 1), SECTION(SIZES, 5), SECTION(CLASSES, CLASS_ALLOCATE)}, "undefined stack");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(SIZES, 5), SECTION(CLASSES, CLASS_ALLOCATE)}, "column ends");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 0), SECTION(CLASSES, CLASS_ALLOCATE)}, "column ends");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 0), SECTION(SIZES, 5)}, "column ends");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 0), SECTION(SIZES, 0x85), SECTION(CLASSES, CLASS_ALLOCATE)}, "column ends");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 0), SECTION(SIZES, 5), SECTION(CLASSES, 0x20)}, "class");
    check_made_up(&(struct made_up){SECTION(OPS, 0x07), SECTION(STACKS, 0), SECTION(SIZES, 5)}, "class");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 0), SECTION(CLASSES, CLASS_ALLOCATE),
                                    SECTION(SIZES, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)}, "size");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0c)}, "predicted");
    check_made_up(&(struct made_up){SECTION(OPS, 0x80)}, "predicted");
    check_made_up(&(struct made_up){SECTION(OPS, 0xff)}, "predicted");
    check_made_up(&(struct made_up){SECTION(OPS, 0x10), SECTION(DISTANCES, 0)}, "nothing");
    check_made_up(&(struct made_up){SECTION(OPS, 0x12)}, "nothing");
    check_made_up(&(struct made_up){SECTION(OPS, 0x14)}, "predicted");
    check_made_up(&(struct made_up){SECTION(OPS, 0x16), SECTION(SLOTS, 0)}, "nothing");
    check_made_up(&(struct made_up){SECTION(OPS, 0x16), SECTION(SLOTS, 1)}, "nothing");
    check_made_up(&(struct made_up){SECTION(OPS, 0x18)}, "unknown op");
    check_made_up(&(struct made_up){SECTION(OPS, OP_END)}, "unknown op");
    check_made_up(&(struct made_up){SECTION(OPS, OP_SAMPLING), SECTION(MISC, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)}, "interval");
    check_made_up(&(struct made_up){SECTION(OPS, OP_SHRINK), SECTION(MISC, 0, 0)}, "mapping");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f, OP_SHRINK), SECTION(STACKS, 0), SECTION(SIZES, 5), SECTION(CLASSES, CLASS_ALLOCATE),
                                    SECTION(MISC, 0, 6)}, "shrinks by more");
    check_made_up(&(struct made_up){SECTION(OPS, OP_UNDO_FREE), SECTION(MISC, 1, 0, 0)}, "undone");
    check_made_up(&(struct made_up){SECTION(OPS, OP_UNDO_FREE), SECTION(MISC, 0, 0, 0x40)}, "undone");
    check_made_up(&(struct made_up){SECTION(OPS, OP_THREAD), SECTION(MISC, 1)}, "undefined thread");
    check_made_up(&(struct made_up){SECTION(OPS, OP_RSS)}, "column ends");
    check_made_up(&(struct made_up){SECTION(OPS, OP_TIME, OP_TIME), SECTION(TIMES, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)},
                  "time overflows");
    check_made_up(&(struct made_up){SECTION(OPS, OP_TIME), SECTION(TIMES, 1)}, "another time");
    check_made_up(&(struct made_up){SECTION(MISC, 1)}, "longer than its events");
    check_made_up(&(struct made_up){.event_count = 1}, "another number of events");
    check_made_up(&(struct made_up){.end_outside_bytes = 1}, "another heap level");
    check_made_up(&(struct made_up){SECTION(OPS, 0x0f), SECTION(STACKS, 0), SECTION(SIZES, 5), SECTION(CLASSES, CLASS_ALLOCATE), .event_count = 1,
                                    .end_outside_bytes = 5, .peak_event = 1, .peak_bytes = 6}, "high-water mark");
    check_made_up(&(struct made_up){.bytes[SECTION_OPS] = 1}, "longer than its block");
    check_made_up(&(struct made_up){.bytes[SECTION_OPS] = 0xffffffff}, "longer than its block");
    check_made_up(&(struct made_up){.claimed_raw_bytes = TRACE_SECTION_TABLE_BYTES + 1}, "decompressed");
    check_made_up(&(struct made_up){.claimed_raw_bytes = TRACE_MAX_RAW_BYTES}, "decompressed");
    check_made_up(&(struct made_up){.claimed_raw_bytes = TRACE_MAX_RAW_BYTES + 1}, "length is out of bounds");
    check_made_up(&(struct made_up){.claimed_raw_bytes = TRACE_SECTION_TABLE_BYTES - 1}, "length is out of bounds");
    check_made_up(&(struct made_up){.event_count = TRACE_MAX_BLOCK_EVENTS + 1}, "event count is out of bounds");
    check_made_up(&(struct made_up){.peak_event = 1}, "event count is out of bounds");
}

static void made_up_definitions(void)
{
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, 9)}, "malformed");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_NODE)}, "malformed");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_NODE, 3, 0)}, "malformed");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_NODE, TRACE_FRAME_CUT, 1)}, "undefined");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_NODE, TRACE_FRAME_PYTHON, 0, 1, 0)}, "undefined");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_NODE, TRACE_FRAME_NATIVE, 0, 1, 0)}, "undefined");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_THREAD, 2, 0, 0)}, "undefined");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_THREAD, 0, 0, 0)}, "undefined");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_THREAD, 1, 0, 1)}, "malformed");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_PROPERTY, 1, 'k', 2, 'v')}, "malformed");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_PROPERTY, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)}, "malformed");
    check_made_up(&(struct made_up){SECTION(DEFINITIONS, TRACE_DEFINE_PROPERTY, 1, 'k', 1, 'v')}, NULL);
}

int main(void)
{
    not_traces();
    every_cut();
    every_flip();
    bad_payload();
    shuffled_blocks();
    missing_block();
    made_up_blocks();
    made_up_definitions();
    return 0;
}
