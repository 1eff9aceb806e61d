/* See trace_insert.h. */
#include "trace_insert.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "checksum.h"
#include "trace_reader_internal.h"

#define COMPRESSION_LEVEL 3

struct copy {
    struct trace_reader *reader;
    int to;
    uint64_t offset;          /* read up to here */
    uint32_t sequence;        /* of the next block that is read … */
    uint32_t written_count;   /* … and that is written: parts of a rotated file become one */
    struct trace_block last;  /* read before */
    uint8_t *buffer;
    size_t capacity;
};

static int reserve(struct copy *copy, size_t bytes)
{
    if (bytes <= copy->capacity)
        return STATUS_OK;
    uint8_t *grown = realloc(copy->buffer, bytes);
    if (!grown)
        return STATUS_NO_MEMORY;
    copy->buffer = grown;
    copy->capacity = bytes;
    return STATUS_OK;
}

static int put_bytes(struct copy *copy, const uint8_t *bytes, size_t count)
{
    while (count) {
        ssize_t written = write(copy->to, bytes, count);
        if (written < 0 && errno != EINTR)
            return STATUS_SYSTEM;
        bytes += written > 0 ? written : 0;
        count -= written > 0 ? (size_t)written : 0;
    }
    return STATUS_OK;
}

/* The payload stands behind the header's place in the buffer. */
static int put_block(struct copy *copy, const struct trace_block *block)
{
    trace_block_pack(block, copy->buffer);
    return put_bytes(copy, copy->buffer, TRACE_BLOCK_HEADER_BYTES + (size_t)block->stored_bytes);
}

/* A block without events. */
static int put_definitions(struct copy *copy, const struct definition_log *log)
{
    size_t raw_bytes = TRACE_SECTION_TABLE_BYTES + log->count, bound = ZSTD_compressBound(raw_bytes);
    uint8_t *raw = calloc(1, raw_bytes);
    int status = raw ? reserve(copy, TRACE_BLOCK_HEADER_BYTES + bound) : STATUS_NO_MEMORY;
    if (!status) {
        put_u32(raw, (uint32_t)log->count);
        memcpy(raw + TRACE_SECTION_TABLE_BYTES, log->bytes, log->count);
        size_t stored_bytes = ZSTD_compress(copy->buffer + TRACE_BLOCK_HEADER_BYTES, bound, raw, raw_bytes, COMPRESSION_LEVEL);
        struct trace_block block = {
            .type = TRACE_BLOCK_DATA,
            .sequence = copy->written_count++,
            .raw_bytes = (uint32_t)raw_bytes,
            .stored_bytes = (uint32_t)stored_bytes,
            .first_event = copy->last.first_event + copy->last.event_count,
            .start_time_ns = copy->last.end_time_ns,
            .end_time_ns = copy->last.end_time_ns,
            .end_level = copy->last.end_level,
        };
        status = ZSTD_isError(stored_bytes) ? STATUS_NO_MEMORY : STATUS_OK;
        if (!status) {
            block.payload_checksum = checksum_crc32c(copy->buffer + TRACE_BLOCK_HEADER_BYTES, stored_bytes);
            status = put_block(copy, &block);
        }
    }
    free(raw);
    return status;
}

/* A block for each, so that no block grows beyond what readers accept. */
static int put_properties(struct copy *copy, const struct trace_property *properties, size_t count)
{
    int status = STATUS_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct definition_log log = {0};
        struct trace_definition definition = {
            .kind = TRACE_DEFINE_PROPERTY,
            .property = {properties[i].key, properties[i].value, (uint32_t)strlen(properties[i].key), (uint32_t)strlen(properties[i].value)},
        };
        status = definition_log_append(&log, &definition);
        if (!status)
            status = put_definitions(copy, &log);
        definition_log_done(&log);
    }
    return status;
}

static int copy_block(struct copy *copy, const struct trace_block *block)
{
    struct trace_block moved = *block;
    size_t bytes = block->stored_bytes;
    int status = reserve(copy, TRACE_BLOCK_HEADER_BYTES + bytes);
    if (status)
        return status;
    if (trace_read_at(&copy->reader->source, copy->buffer + TRACE_BLOCK_HEADER_BYTES, bytes, copy->offset + TRACE_BLOCK_HEADER_BYTES) !=
        (int64_t)bytes)
        return STATUS_SYSTEM;
    moved.sequence = copy->written_count++;
    copy->offset += TRACE_BLOCK_HEADER_BYTES + bytes;
    copy->sequence = block->sequence + 1;
    copy->last = *block;
    return put_block(copy, &moved);
}

/* What the reader found to be good. */
static int copy_trace(struct copy *copy, const struct trace_property *properties, size_t count, struct status_detail *detail)
{
    const struct trace_overview *overview = trace_reader_overview(copy->reader);
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    struct trace_block block;
    int inserted = 0;
    if (trace_read_at(&copy->reader->source, header, sizeof header, 0) != (int64_t)sizeof header)
        return STATUS_SYSTEM;
    if (overview->identity.flags & TRACE_ROTATED)
        trace_file_header_set_flags(header, overview->identity.flags & ~(uint32_t)TRACE_ROTATED);
    int status = put_bytes(copy, header, sizeof header);
    copy->offset = sizeof header;
    while (!status && copy->offset < overview->good_bytes) {
        status = trace_block_read(&copy->reader->source, overview->good_bytes, copy->offset, copy->sequence, &block, detail);
        if (!status && !inserted && block.type != TRACE_BLOCK_DATA) {
            status = put_properties(copy, properties, count);
            inserted = 1;
        }
        if (!status)
            status = copy_block(copy, &block);
    }
    return status || inserted ? status : put_properties(copy, properties, count);
}

int trace_insert_properties(const char *path, int to, const struct trace_property *properties, size_t count, struct status_detail *detail)
{
    struct copy copy = {.to = to};
    int status = trace_reader_open(path, &copy.reader, detail);
    if (status)
        return status;
    status = copy_trace(&copy, properties, count, detail);
    trace_reader_close(copy.reader);
    free(copy.buffer);
    return status;
}
