/* What the headers say: the file's, every block's, and the end block (trace_reader_internal.h). A read of 128 bytes a block.
 * One thread; never allocates. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksum.h"
#include "trace_reader_internal.h"

int64_t trace_read_at(int file, void *to, size_t bytes, uint64_t offset)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t count = pread(file, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (int64_t)done;
}

int trace_block_read(int file, uint64_t file_bytes, uint64_t offset, uint32_t sequence, struct trace_block *ret_block,
                     struct status_detail *detail)
{
    uint8_t header[TRACE_BLOCK_HEADER_BYTES];
    if (offset >= file_bytes)
        return STATUS_END;
    int64_t count = trace_read_at(file, header, sizeof(header), offset);
    if (count < 0)
        return trace_fail(detail, STATUS_SYSTEM, offset, "cannot read at byte %" PRIu64, offset);
    if (count < (int64_t)sizeof(header))
        return trace_fail(detail, STATUS_TRUNCATED, offset, "the file ends within the block header at byte %" PRIu64, offset);
    struct trace_block block;
    int status = trace_block_unpack(header, offset, &block, detail);
    if (status)
        return status;
    if (block.sequence != sequence)
        return trace_fail(detail, STATUS_CORRUPT, offset, "block %u stands where block %u should be, at byte %" PRIu64,
                          block.sequence, sequence, offset);
    if (block.stored_bytes > file_bytes - offset - sizeof(header))
        return trace_fail(detail, STATUS_TRUNCATED, offset, "the file ends within the block at byte %" PRIu64, offset);
    *ret_block = block;
    return 0;
}

static int read_end(struct trace_reader *reader, const struct trace_block *block, uint64_t offset)
{
    uint8_t payload[TRACE_END_BYTES];
    int64_t count = trace_read_at(reader->file, payload, sizeof(payload), offset + TRACE_BLOCK_HEADER_BYTES);
    if (count != (int64_t)sizeof(payload) || checksum_crc32c(payload, sizeof(payload)) != block->payload_checksum)
        return trace_fail(&reader->damage, STATUS_CORRUPT, offset, "the checksum of the end block at byte %" PRIu64 " is wrong",
                          offset);
    trace_end_unpack(payload, &reader->overview.end);
    reader->overview.has_end = 1;
    return 0;
}

/* Does the block follow from those before it? */
static int check_order(struct trace_reader *reader, const struct trace_block *block, uint64_t offset)
{
    if (block->first_event != reader->overview.event_count || block->start_time_ns < reader->overview.end_time_ns)
        return trace_fail(&reader->damage, STATUS_CORRUPT, offset,
                          "the block at byte %" PRIu64 " does not continue the one before", offset);
    if (block->type == TRACE_BLOCK_DATA && reader->overview.has_tally)
        return trace_fail(&reader->damage, STATUS_CORRUPT, offset, "the block at byte %" PRIu64 " lists events after they were added up",
                          offset);
    return 0;
}

static void add_block(struct trace_overview *overview, const struct trace_block *block, uint64_t *peak_object_bytes)
{
    if (block->peak_event && (block->peak_bytes > overview->peak_bytes ||
                              (block->peak_bytes == overview->peak_bytes && block->peak_object_bytes > *peak_object_bytes))) {
        overview->peak_bytes = block->peak_bytes;
        overview->peak_event = block->first_event + block->peak_event;
        overview->peak_time_ns = block->peak_time_ns;
        *peak_object_bytes = block->peak_object_bytes;
    }
    if (block->type == TRACE_BLOCK_TALLY && !overview->has_tally) {
        overview->has_tally = 1;
        overview->stream_end_ns = block->start_time_ns;
    }
    overview->block_count++;
    overview->event_count += block->event_count;
    overview->end_time_ns = block->end_time_ns;
}

/* From where the last scan ended. */
static void scan_blocks(struct trace_reader *reader)
{
    struct trace_overview *overview = &reader->overview;
    uint64_t offset = overview->good_bytes;
    struct trace_block block;
    while (trace_block_read(reader->file, overview->file_bytes, offset, (uint32_t)overview->block_count, &block,
                            &reader->damage) == 0) {
        if (check_order(reader, &block, offset))
            break;
        if (block.type == TRACE_BLOCK_END && read_end(reader, &block, offset))
            break;
        add_block(overview, &block, &reader->peak_object_bytes);
        offset += TRACE_BLOCK_HEADER_BYTES + (uint64_t)block.stored_bytes;
        if (block.type == TRACE_BLOCK_END) {
            if (offset < overview->file_bytes)
                trace_fail(&reader->damage, STATUS_CORRUPT, offset, "bytes follow the end block, at byte %" PRIu64, offset);
            break;
        }
        reader->data_end = offset;
    }
    overview->good_bytes = offset;
}

int trace_reader_follow(struct trace_reader *reader, struct status_detail *detail)
{
    struct stat file_status;
    if (fstat(reader->file, &file_status))
        return trace_fail(detail, STATUS_SYSTEM, 0, "cannot read the file's size");
    if (reader->overview.has_end)
        return 0;
    /* What looked cut may have been in the middle of being written. */
    reader->damage = (struct status_detail){0};
    reader->overview.file_bytes = (uint64_t)file_status.st_size;
    scan_blocks(reader);
    return 0;
}

int trace_reader_scan(struct trace_reader *reader, struct status_detail *detail)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    struct stat file_status;
    if (fstat(reader->file, &file_status))
        return trace_fail(detail, STATUS_SYSTEM, 0, "cannot read the file's size");
    int64_t count = trace_read_at(reader->file, header, sizeof(header), 0);
    if (count < 0)
        return trace_fail(detail, STATUS_SYSTEM, 0, "cannot read the file");
    int status = trace_file_header_unpack(header, (size_t)count, &reader->overview.identity, &reader->overview.format_version, detail);
    if (status)
        return status;
    reader->overview.file_bytes = (uint64_t)file_status.st_size;
    reader->overview.good_bytes = reader->data_end = TRACE_FILE_HEADER_BYTES;
    scan_blocks(reader);
    return 0;
}
