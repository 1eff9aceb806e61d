/* Fuzz target: any bytes as a trace. Each input is read in four ways: as the file it is; as a file whose checksums have been put
 * right, so that what lies behind them is reached; as the payload of two blocks of events in a row; and as that of two tallies. Every event is checked for what
 * trace_reader.h promises its caller. Stops after a million events: a short input may describe billions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "checksum.h"
#include "fuzz.h"
#include "trace_block.h"
#include "trace_reader.h"

#define MAX_EVENTS 1000000u

/* Keeps the compiler from dropping the reads. */
static volatile uint64_t touched;

static void require(int condition)
{
    if (!condition)
        abort();
}

static void check_event(const struct trace_reader *reader, const struct trace_event *event, uint32_t stacks, uint32_t threads)
{
    const struct live_slots *slots = trace_reader_slots(reader);
    require(event->kind < TRACE_EVENT_KIND_COUNT);
    if (event->kind == TRACE_ALLOCATE || event->kind == TRACE_FREE || event->kind == TRACE_SHRINK || event->kind == TRACE_UNDO_FREE)
        require(event->slot < slots->used_count && live_slot_is_live(&slots->slots[event->slot]));
    if (event->kind == TRACE_ALLOCATE || event->kind == TRACE_COPY || event->kind == TRACE_UNDO_FREE)
        require(event->stack_id <= stacks && event->size_bytes <= TRACE_MAX_SIZE_BYTES);
    if (event->kind == TRACE_THREAD)
        require(event->thread_id <= threads);
}

static uint64_t sum_of_bytes(const void *bytes, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ((const uint8_t *)bytes)[i];
    return sum;
}

/* Touch every byte that the definition points to: the sanitizer watches. */
static uint64_t touch_definition(const struct trace_definition *definition)
{
    switch (definition->kind) {
    case TRACE_DEFINE_CODE:
        return sum_of_bytes(definition->code.file, definition->code.file_bytes) +
               sum_of_bytes(definition->code.name, definition->code.name_bytes) +
               sum_of_bytes(definition->code.line_table, definition->code.line_table_bytes);
    case TRACE_DEFINE_NODE:
        require(definition->node.caller_id < definition->node.stack_id);
        return definition->node.stack_id;
    case TRACE_DEFINE_MODULE:
        return sum_of_bytes(definition->module.path, definition->module.path_bytes) +
               sum_of_bytes(definition->module.build_id, definition->module.build_id_bytes);
    case TRACE_DEFINE_THREAD:
        return sum_of_bytes(definition->thread.name, definition->thread.name_bytes);
    default:
        return sum_of_bytes(definition->property.key, definition->property.key_bytes) +
               sum_of_bytes(definition->property.value, definition->property.value_bytes);
    }
}

/* What trace_reader.h promises of a tally. */
static void check_tally(struct trace_reader *reader, uint32_t stacks)
{
    const struct trace_tally *tally = trace_reader_tally(reader);
    struct tally_moment moment;
    struct tally_stack stack;
    uint64_t time_ns = 0, next_id = 0;
    if (!tally)
        return;
    require(tally->start_time_ns <= tally->end_time_ns);
    time_ns = tally->start_time_ns;
    while (trace_reader_next_moment(reader, &moment)) {
        require(moment.time_ns >= time_ns && moment.time_ns <= tally->end_time_ns && moment.heap_peak_bytes >= moment.heap_bytes);
        time_ns = moment.time_ns;
    }
    while (trace_reader_next_tally_stack(reader, &stack)) {
        require(stack.stack_id >= next_id && stack.stack_id <= stacks);
        require(tally->has_peak || (!stack.peak_bytes && !stack.peak_allocations));
        require(tally->has_errors || !(stack.errors.live != 0 || stack.errors.allocations != 0 || stack.errors.peak != 0 || stack.errors.copies != 0));
        require(fabs(stack.errors.live) < 1e201 && fabs(stack.errors.largest_block) < 1e201 && fabs(stack.errors.copies) < 1e201);
        next_id = stack.stack_id + 1ull;
    }
}

static void read_blocks(struct trace_reader *reader)
{
    struct trace_definition definition;
    struct trace_event event;
    struct status_detail detail;
    uint32_t stacks = 0, threads = 0, events = 0;
    while (trace_reader_next_block(reader, &detail) == 0) {
        while (trace_reader_next_definition(reader, &definition, &detail) == 0) {
            touched += touch_definition(&definition);
            stacks += definition.kind == TRACE_DEFINE_NODE;
            threads += definition.kind == TRACE_DEFINE_THREAD;
        }
        check_tally(reader, stacks);
        while (trace_reader_next_event(reader, &event, &detail) == 0) {
            check_event(reader, &event, stacks, threads);
            if (++events == MAX_EVENTS)
                return;
        }
    }
}

static void read_file(const uint8_t *bytes, size_t count)
{
    char path[64];
    struct trace_reader *reader;
    struct status_detail detail;
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    require(file >= 0 && write(file, bytes, count) == (ssize_t)count);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    if (trace_reader_open(path, &reader, &detail) == 0) {
        trace_reader_damage(reader, &detail);
        read_blocks(reader);
        trace_reader_close(reader);
    }
    close(file);
}

static void repair_checksums(uint8_t *bytes, size_t count)
{
    size_t at = TRACE_FILE_HEADER_BYTES;
    if (count < at)
        return;
    memcpy(bytes, TRACE_MAGIC, 8);
    put_u32(bytes + 8, TRACE_VERSION);
    put_u32(bytes + 12, TRACE_FILE_HEADER_BYTES);
    put_u32(bytes + 92, checksum_crc32c(bytes, 92));
    while (count - at >= TRACE_BLOCK_HEADER_BYTES) {
        uint8_t *header = bytes + at;
        size_t left = count - at - TRACE_BLOCK_HEADER_BYTES, stored_bytes = get_u32(header + 16);
        if (stored_bytes > left)
            stored_bytes = left;
        put_u32(header, TRACE_BLOCK_SYNC);
        put_u32(header + 16, (uint32_t)stored_bytes);
        put_u32(header + 20, checksum_crc32c(header + TRACE_BLOCK_HEADER_BYTES, stored_bytes));
        put_u32(header + 124, checksum_crc32c(header, 124));
        at += TRACE_BLOCK_HEADER_BYTES + stored_bytes;
    }
}

/* A trace of two blocks of this type, both with this payload. */
static void read_payload(const uint8_t *payload, size_t count, uint32_t type)
{
    size_t bound = ZSTD_compressBound(count);
    uint8_t *file = malloc(TRACE_FILE_HEADER_BYTES + 2 * (TRACE_BLOCK_HEADER_BYTES + bound)), *to = file;
    struct trace_identity identity = {0};
    require(file != NULL);
    trace_file_header_pack(&identity, to);
    to += TRACE_FILE_HEADER_BYTES;
    for (uint32_t sequence = 0; sequence < 2; sequence++) {
        struct trace_block block = {.type = type, .sequence = sequence, .raw_bytes = (uint32_t)count};
        block.stored_bytes = (uint32_t)ZSTD_compress(to + TRACE_BLOCK_HEADER_BYTES, bound, payload, count, 1);
        block.payload_checksum = checksum_crc32c(to + TRACE_BLOCK_HEADER_BYTES, block.stored_bytes);
        trace_block_pack(&block, to);
        to += TRACE_BLOCK_HEADER_BYTES + block.stored_bytes;
    }
    read_file(file, (size_t)(to - file));
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *repaired = malloc(size + 1);
    require(repaired != NULL);
    if (size)
        memcpy(repaired, data, size);
    repair_checksums(repaired, size);
    read_file(data, size);
    read_file(repaired, size);
    if (size <= 1u << 20) {
        read_payload(data, size, TRACE_BLOCK_DATA);
        read_payload(data, size, TRACE_BLOCK_TALLY);
    }
    free(repaired);
    return 0;
}
