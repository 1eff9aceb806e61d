/* See trace_epilogue.h. */
#include "trace_epilogue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "checksum.h"
#include "definition_codec.h"
#include "file_write.h"
#include "trace_block.h"
#include "trace_reader_internal.h"
#include "varint.h"

#define COMPRESSION_LEVEL 3

/* What is known of the file: where its good part ends, and what its last block says. */
struct file_end {
    uint64_t offset;
    uint32_t block_count;
    struct trace_block last;
};

static int check_identity(const struct trace_source *source, uint64_t session_id, uint32_t pid)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    struct trace_identity identity;
    uint32_t version;
    int64_t count = trace_read_at(source, header, sizeof header, 0);
    int status = count < 0 ? STATUS_SYSTEM : trace_file_header_unpack(header, (size_t)count, &identity, &version, NULL);
    if (status)
        return status;
    return identity.session_id == session_id && identity.pid == pid && !(identity.flags & TRACE_ROTATED) ? 0 : STATUS_INVALID;
}

static int find_end(const struct trace_source *source, struct file_end *ret_end)
{
    struct file_end end = {.offset = TRACE_FILE_HEADER_BYTES};
    struct stat about;
    struct trace_block block;
    struct status_detail detail;
    if (fstat(source->file, &about) != 0)
        return STATUS_SYSTEM;
    while (trace_block_read(source, (uint64_t)about.st_size, end.offset, end.block_count, &block, &detail) == 0) {
        if (block.type != TRACE_BLOCK_DATA)
            return STATUS_INVALID;
        end.last = block;
        end.block_count++;
        end.offset += TRACE_BLOCK_HEADER_BYTES + (uint64_t)block.stored_bytes;
    }
    *ret_end = end;
    return 0;
}

/* The payload of a data block: the property, and the figure. Returns its bytes, 0: no memory. */
static size_t make_payload(const char *reason, uint64_t lost_events, uint8_t **ret_raw)
{
    struct definition_log log = {0};
    struct trace_definition definition = {.kind = TRACE_DEFINE_PROPERTY};
    uint8_t figure[VARINT_MAX_BYTES];
    size_t figure_bytes = (size_t)(varint_put(figure, lost_events) - figure);
    definition.property.key = TRACE_CUT_PROPERTY;
    definition.property.key_bytes = (uint32_t)strlen(TRACE_CUT_PROPERTY);
    definition.property.value = reason;
    definition.property.value_bytes = (uint32_t)strlen(reason);
    uint8_t *raw = definition_log_append(&log, &definition) == 0 ? calloc(1, TRACE_SECTION_TABLE_BYTES + log.count + 1 + figure_bytes) : NULL;
    size_t bytes = 0;
    if (raw) {
        put_u32(raw + 4 * SECTION_DEFINITIONS, (uint32_t)log.count);
        put_u32(raw + 4 * SECTION_OPS, 1);
        put_u32(raw + 4 * SECTION_MISC, (uint32_t)figure_bytes);
        bytes = TRACE_SECTION_TABLE_BYTES;
        memcpy(raw + bytes, log.bytes, log.count);
        bytes += log.count;
        raw[bytes++] = OP_LOST;
        memcpy(raw + bytes, figure, figure_bytes);
        bytes += figure_bytes;
        *ret_raw = raw;
    }
    definition_log_done(&log);
    return bytes;
}

static int append_block(int file, const struct file_end *end, const uint8_t *raw, size_t raw_bytes)
{
    size_t capacity = ZSTD_compressBound(raw_bytes);
    uint8_t *stored = malloc(TRACE_BLOCK_HEADER_BYTES + capacity);
    if (!stored)
        return STATUS_NO_MEMORY;
    size_t stored_bytes = ZSTD_compress(stored + TRACE_BLOCK_HEADER_BYTES, capacity, raw, raw_bytes, COMPRESSION_LEVEL);
    struct trace_block block = {
        .type = TRACE_BLOCK_DATA,
        .sequence = end->block_count,
        .raw_bytes = (uint32_t)raw_bytes,
        .stored_bytes = (uint32_t)stored_bytes,
        .payload_checksum = checksum_crc32c(stored + TRACE_BLOCK_HEADER_BYTES, stored_bytes),
        .first_event = end->last.first_event + end->last.event_count,
        .start_time_ns = end->last.end_time_ns,
        .end_time_ns = end->last.end_time_ns,
        .end_level = end->last.end_level,
    };
    trace_block_pack(&block, stored);
    /* A part of a block is no part of the trace. */
    int error = ftruncate(file, (off_t)end->offset) ? errno : file_write_at(file, stored, TRACE_BLOCK_HEADER_BYTES + stored_bytes, end->offset);
    if (error && ftruncate(file, (off_t)end->offset)) {
        /* Then the reader finds a cut block, and leaves it out. */
    }
    free(stored);
    errno = error;
    return error ? STATUS_SYSTEM : 0;
}

int trace_epilogue_write(int file, const struct trace_epilogue *epilogue)
{
    struct trace_source source = {.file = file};
    struct file_end end;
    uint8_t *raw;
    int status = find_end(&source, &end);
    if (status)
        return status;
    uint64_t written = end.last.first_event + end.last.event_count;
    uint64_t lost_events = epilogue->lost_events + (epilogue->handed_events > written ? epilogue->handed_events - written : 0);
    size_t raw_bytes = make_payload(epilogue->reason, lost_events, &raw);
    if (!raw_bytes)
        return STATUS_NO_MEMORY;
    status = append_block(file, &end, raw, raw_bytes);
    free(raw);
    return status;
}

int trace_epilogue_write_of(int file, uint64_t session_id, uint32_t pid, const struct trace_epilogue *epilogue)
{
    struct trace_source source = {.file = file};
    int status = check_identity(&source, session_id, pid);
    return status ? status : trace_epilogue_write(file, epilogue);
}
