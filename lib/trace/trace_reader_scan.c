/* What the headers say: the file's, every block's, and the end block (trace_reader_internal.h). A read of 128 bytes a block.
 * One thread; never allocates. */
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checksum.h"
#include "trace_reader_internal.h"

/* In one piece of the file. */
static int64_t read_piece(int file, void *to, size_t bytes, uint64_t offset)
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

int64_t trace_read_at(const struct trace_source *source, void *to, size_t bytes, uint64_t offset)
{
    size_t done = 0;
    if (!source->is_rotated || offset < TRACE_FILE_HEADER_BYTES)
        return read_piece(source->file, to, bytes, offset);
    while (done < bytes) {
        uint64_t file_offset, piece = trace_space_locate(&source->space, offset + done, &file_offset);
        if (piece > bytes - done)
            piece = bytes - done;
        int64_t count = piece ? read_piece(source->file, (char *)to + done, piece, file_offset) : 0;
        if (count < 0)
            return -1;
        done += (size_t)count;
        if (!count || (uint64_t)count < piece)
            break;
    }
    return (int64_t)done;
}

int trace_block_read(const struct trace_source *source, uint64_t file_bytes, uint64_t offset, uint32_t sequence, struct trace_block *ret_block,
                     struct status_detail *detail)
{
    uint8_t header[TRACE_BLOCK_HEADER_BYTES];
    if (offset >= file_bytes)
        return STATUS_END;
    int64_t count = trace_read_at(source, header, sizeof(header), offset);
    if (source->is_rotated && trace_space_is_part_start(&source->space, offset))
        sequence = 0;
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
    int64_t count = trace_read_at(&reader->source, payload, sizeof(payload), offset + TRACE_BLOCK_HEADER_BYTES);
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
    } else if (block->type == TRACE_BLOCK_SEGMENT && overview->has_tally) {
        overview->has_tally = 0;
        overview->has_history = 1;
        overview->history_end_ns = block->start_time_ns;
    }
    overview->block_count++;
    overview->event_count += block->event_count;
    overview->end_time_ns = block->end_time_ns;
}

/* The last part of a rotated file that its writer didn't close: what follows its last block is what stood there before. */
static void end_open_part(struct trace_reader *reader)
{
    uint64_t start = trace_space_end(&reader->source.space) - reader->source.space.parts[reader->source.space.part_count - 1].bytes;
    if (reader->damage.status && reader->damage.offset >= start)
        reader->damage = (struct status_detail){0};
}

/* From where the last scan ended. */
static void scan_blocks(struct trace_reader *reader)
{
    struct trace_overview *overview = &reader->overview;
    uint64_t offset = overview->good_bytes;
    struct trace_block block;
    while (trace_block_read(&reader->source, overview->file_bytes, offset, reader->scan_sequence, &block, &reader->damage) == 0) {
        if (check_order(reader, &block, offset))
            break;
        if (block.type == TRACE_BLOCK_END && read_end(reader, &block, offset))
            break;
        add_block(overview, &block, &reader->peak_object_bytes);
        reader->scan_sequence = block.sequence + 1;
        offset += TRACE_BLOCK_HEADER_BYTES + (uint64_t)block.stored_bytes;
        if (block.type == TRACE_BLOCK_END) {
            if (offset < overview->file_bytes)
                trace_fail(&reader->damage, STATUS_CORRUPT, offset, "bytes follow the end block, at byte %" PRIu64, offset);
            break;
        }
        reader->data_end = offset;
    }
    overview->good_bytes = offset;
    if (reader->source.is_rotated && reader->source.space.is_open)
        end_open_part(reader);
}

/* The parts of a rotated file as they are now, if those that were read are still among them. */
static int follow_space(struct trace_reader *reader, uint64_t file_bytes, struct status_detail *detail)
{
    struct trace_space now;
    int status = trace_space_load(&now, reader->source.file, file_bytes, detail);
    if (status)
        return status;
    if (!trace_space_continues(&reader->source.space, &now)) {
        trace_space_done(&now);
        return trace_fail(detail, STATUS_CORRUPT, SPACE_FIRST_INDEX, "old parts of the trace have made room while it was read");
    }
    trace_space_done(&reader->source.space);
    reader->source.space = now;
    reader->overview.file_bytes = trace_space_end(&now);
    return 0;
}

int trace_reader_follow(struct trace_reader *reader, struct status_detail *detail)
{
    struct stat file_status;
    int status = 0;
    if (fstat(reader->source.file, &file_status))
        return trace_fail(detail, STATUS_SYSTEM, 0, "cannot read the file's size");
    if (reader->overview.has_end)
        return 0;
    reader->overview.file_bytes = (uint64_t)file_status.st_size;
    if (reader->source.is_rotated)
        status = follow_space(reader, reader->overview.file_bytes, detail);
    if (status)
        return status;
    /* What looked cut may have been in the middle of being written. */
    reader->damage = (struct status_detail){0};
    scan_blocks(reader);
    return 0;
}

int trace_reader_scan(struct trace_reader *reader, struct status_detail *detail)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    struct stat file_status;
    if (fstat(reader->source.file, &file_status))
        return trace_fail(detail, STATUS_SYSTEM, 0, "cannot read the file's size");
    int64_t count = trace_read_at(&reader->source, header, sizeof(header), 0);
    if (count < 0)
        return trace_fail(detail, STATUS_SYSTEM, 0, "cannot read the file");
    int status = trace_file_header_unpack(header, (size_t)count, &reader->overview.identity, &reader->overview.format_version, detail);
    if (status)
        return status;
    reader->overview.file_bytes = (uint64_t)file_status.st_size;
    reader->overview.good_bytes = reader->data_end = TRACE_FILE_HEADER_BYTES;
    if (reader->overview.identity.flags & TRACE_ROTATED) {
        status = trace_space_load(&reader->source.space, reader->source.file, reader->overview.file_bytes, detail);
        if (status)
            return status;
        reader->source.is_rotated = 1;
        reader->overview.file_bytes = trace_space_end(&reader->source.space);
    }
    scan_blocks(reader);
    return 0;
}
