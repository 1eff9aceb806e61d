/* Seeds of the targets that read traces: made-up traces, and the payloads of their blocks. */
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "fuzz.h"
#include "trace_format.h"
#include "trace_script.h"

#define EXTENT_BYTES 4096u /* rotated files: where their pieces begin */

/* The payload of each block, decompressed. */
static void add_payloads(const uint8_t *trace, size_t count)
{
    size_t at = TRACE_FILE_HEADER_BYTES;
    while (at + TRACE_BLOCK_HEADER_BYTES <= count) {
        if (get_u32(trace + at) != TRACE_BLOCK_SYNC) {
            at = (at / EXTENT_BYTES + 1) * EXTENT_BYTES;
            continue;
        }
        size_t raw_bytes = get_u32(trace + at + 12), stored_bytes = get_u32(trace + at + 16);
        uint8_t *raw = malloc(raw_bytes + 1);
        CHECK(raw);
        if (ZSTD_decompress(raw, raw_bytes, trace + at + TRACE_BLOCK_HEADER_BYTES, stored_bytes) == raw_bytes)
            fuzz_add_seed(raw, raw_bytes);
        free(raw);
        at += TRACE_BLOCK_HEADER_BYTES + stored_bytes;
    }
}

static void add_file(int file)
{
    struct stat status;
    CHECK(fstat(file, &status) == 0);
    size_t count = (size_t)status.st_size;
    uint8_t *trace = malloc(count);
    CHECK(trace && pread(file, trace, count, 0) == (ssize_t)count);
    fuzz_add_seed(trace, count);
    add_payloads(trace, count);
    free(trace);
    close(file);
}

/* Sums of samples, of version 5. */
static void add_sums_of_samples(void)
{
    struct script script;
    uint32_t *slots;
    script_random(&script, 7, 300);
    script_event(&script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = 1000});
    script_random_more(&script, 8, 900);
    CHECK((slots = calloc(script.slot_count + 1, sizeof *slots)));
    struct trace_writer *writer;
    int file = script_open_file();
    CHECK_EQUAL(trace_writer_open(file, &script_identity, &writer), 0);
    CHECK_EQUAL(trace_writer_rotate(writer, &script_identity, &(struct trace_rotate){TRACE_MIN_BOUND_BYTES, 1000, 0}), 0);
    for (size_t i = 0; i < script.count; i++) {
        const struct script_step *step = &script.steps[i];
        if (step->what == STEP_DEFINE)
            CHECK_EQUAL(trace_writer_define(writer, &step->definition), 0);
        else if (step->what == STEP_EVENT && step->event.kind != TRACE_SHRINK)
            script_write_event(&step->event, writer, slots);
        else if (step->what == STEP_FLUSH)
            trace_writer_flush(writer);
    }
    CHECK_EQUAL(trace_writer_close(writer, &(struct trace_end){.reason = TRACE_END_EXIT, .time_ns = script.time_ns}), 0);
    add_file(file);
    free(slots);
    script_done(&script);
}

void fuzz_make_seeds(void)
{
    add_sums_of_samples();
    static const size_t steps[] = {3, 30, 200, 1500};
    for (size_t i = 0; i < 4; i++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            struct script script;
            script_random(&script, 100 * i + seed, steps[i]);
            if (seed == 1) {
                script_event(&script, (struct trace_event){.kind = TRACE_SAMPLING, .size_bytes = 1000});
                script_random_more(&script, 200 * i + seed, 2 * steps[i]);
            } else {
                script_tally(&script);
                script_random_more(&script, 200 * i + seed, 2 * steps[i]);
            }
            int file = script_record(&script, seed == 3 ? -1 : TRACE_END_EXIT);
            add_file(file);
            script_done(&script);
        }
}
