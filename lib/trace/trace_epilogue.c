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
    uint64_t offset, last_offset;
    uint32_t sequence; /* of the next block */
    int has_block;
    struct trace_block last;
};

static int read_identity(const struct trace_source *source, struct trace_identity *ret_identity)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    uint32_t version;
    int64_t count = trace_read_at(source, header, sizeof header, 0);
    return count < 0 ? STATUS_SYSTEM : trace_file_header_unpack(header, (size_t)count, ret_identity, &version, NULL);
}

/* A rotated trace that was killed before it had parts becomes one that isn't. Returns 0 or an error. */
static int load_parts(struct trace_source *source, struct trace_identity *identity)
{
    uint8_t header[TRACE_FILE_HEADER_BYTES];
    struct status_detail detail;
    struct stat about;
    if (fstat(source->file, &about))
        return STATUS_SYSTEM;
    source->is_rotated = 1;
    int status = trace_space_load(&source->space, source->file, (uint64_t)about.st_size, &detail);
    if (status || source->space.part_count)
        return status;
    source->is_rotated = 0;
    identity->flags &= ~(uint32_t)TRACE_ROTATED;
    trace_file_header_pack(identity, header);
    errno = file_write_at(source->file, header, sizeof header, 0);
    return errno ? STATUS_SYSTEM : 0;
}

static int follows(const struct file_end *end, const struct trace_block *block)
{
    return block->first_event == end->last.first_event + end->last.event_count && block->start_time_ns >= end->last.end_time_ns;
}

static int find_end(const struct trace_source *source, struct file_end *ret_end)
{
    struct file_end end = {.offset = TRACE_FILE_HEADER_BYTES};
    struct stat about;
    struct trace_block block;
    struct status_detail detail;
    if (fstat(source->file, &about) != 0)
        return STATUS_SYSTEM;
    uint64_t file_bytes = source->is_rotated ? trace_space_end(&source->space) : (uint64_t)about.st_size;
    while (trace_block_read(source, file_bytes, end.offset, end.sequence, &block, &detail) == 0) {
        if (block.type == TRACE_BLOCK_END)
            return STATUS_INVALID;
        if (source->is_rotated && !follows(&end, &block))
            break; /* what stood there before */
        end.last = block;
        end.last_offset = end.offset;
        end.sequence = block.sequence + 1;
        end.has_block = 1;
        end.offset += TRACE_BLOCK_HEADER_BYTES + (uint64_t)block.stored_bytes;
    }
    *ret_end = end;
    return 0;
}

/* What says why. Returns 0 or STATUS_NO_MEMORY. */
static int define_cut(struct definition_log *log, const char *reason)
{
    struct trace_definition definition = {.kind = TRACE_DEFINE_PROPERTY};
    definition.property.key = TRACE_CUT_PROPERTY;
    definition.property.key_bytes = (uint32_t)strlen(TRACE_CUT_PROPERTY);
    definition.property.value = reason;
    definition.property.value_bytes = (uint32_t)strlen(reason);
    return definition_log_append(log, &definition);
}

/* The payload of a data block: the property, and the figure. Returns its bytes, 0: no memory. */
static size_t make_data(const struct definition_log *log, uint64_t lost_events, uint8_t **ret_raw)
{
    uint8_t figure[VARINT_MAX_BYTES];
    size_t figure_bytes = (size_t)(varint_put(figure, lost_events) - figure);
    uint8_t *raw = calloc(1, TRACE_SECTION_TABLE_BYTES + log->count + 1 + figure_bytes);
    if (!raw)
        return 0;
    put_u32(raw + 4 * SECTION_DEFINITIONS, (uint32_t)log->count);
    put_u32(raw + 4 * SECTION_OPS, 1);
    put_u32(raw + 4 * SECTION_MISC, (uint32_t)figure_bytes);
    size_t bytes = TRACE_SECTION_TABLE_BYTES;
    memcpy(raw + bytes, log->bytes, log->count);
    bytes += log->count;
    raw[bytes++] = OP_LOST;
    memcpy(raw + bytes, figure, figure_bytes);
    *ret_raw = raw;
    return bytes + figure_bytes;
}

/* Totals, and the last moment, of the last block, a tally. Returns 0 or an error. */
static int read_tally(const struct trace_source *source, const struct file_end *end, struct trace_tally *ret_totals, struct tally_moment *ret_moment)
{
    const struct trace_block *block = &end->last;
    struct tally_payload payload = {.tally.start_time_ns = block->start_time_ns};
    uint8_t *stored = malloc(block->stored_bytes), *raw = calloc(1, (size_t)block->raw_bytes + VARINT_MAX_BYTES);
    int status = stored && raw ? 0 : STATUS_NO_MEMORY;
    if (!status && (trace_read_at(source, stored, block->stored_bytes, end->last_offset + TRACE_BLOCK_HEADER_BYTES) != (int64_t)block->stored_bytes ||
                    checksum_crc32c(stored, block->stored_bytes) != block->payload_checksum ||
                    ZSTD_decompress(raw, block->raw_bytes, stored, block->stored_bytes) != block->raw_bytes ||
                    tally_payload_begin(&payload, raw, block->raw_bytes)))
        status = STATUS_INVALID;
    if (!status) {
        tally_payload_totals(&payload);
        *ret_totals = payload.tally;
        while (tally_next_moment(&payload.moments, ret_moment))
            ;
    }
    free(stored);
    free(raw);
    return status;
}

/* The payload of a tally: the property, the totals as they were but for the figure, and a moment. Returns its bytes, 0: no memory. */
static size_t make_tally(const struct definition_log *log, const struct file_end *end, const struct trace_tally *totals,
                         const struct tally_moment *latest, uint64_t lost_events, uint8_t **ret_raw)
{
    uint8_t *raw = calloc(1, TALLY_SECTION_TABLE_BYTES + log->count + TALLY_FIGURES_MAX_BYTES + TALLY_MOMENT_MAX_BYTES);
    uint64_t time_ns = end->last.end_time_ns, level_bytes = trace_level_total(&end->last.end_level);
    struct trace_tally figures = {.lost_events = lost_events, .unknown_frees = totals->unknown_frees, .small_copies = totals->small_copies,
                                  .small_copied_bytes = totals->small_copied_bytes, .peak_rss_bytes = totals->peak_rss_bytes};
    if (!raw)
        return 0;
    uint8_t *definitions = raw + TALLY_SECTION_TABLE_BYTES, *start = definitions + log->count;
    memcpy(definitions, log->bytes, log->count);
    uint8_t *moments = tally_put_figures(start, &figures);
    uint8_t *stop = tally_put_moment(moments, &(struct tally_moment){time_ns, level_bytes, level_bytes, latest->rss_bytes}, &time_ns);
    put_u32(raw + 4 * TALLY_SECTION_DEFINITIONS, (uint32_t)log->count);
    put_u32(raw + 4 * TALLY_SECTION_FIGURES, (uint32_t)(moments - start));
    put_u32(raw + 4 * TALLY_SECTION_MOMENTS, (uint32_t)(stop - moments));
    *ret_raw = raw;
    return (size_t)(stop - raw);
}

/* A part of a block is no part of the trace. Returns 0 or an errno. */
static int append_to_file(int file, const struct file_end *end, const uint8_t *stored, size_t bytes)
{
    int error = ftruncate(file, (off_t)end->offset) ? errno : file_write_at(file, stored, bytes, end->offset);
    if (error && ftruncate(file, (off_t)end->offset)) {
        /* Then the reader finds a cut block, and leaves it out. */
    }
    return error;
}

/* How much of a rotated trace's last part is there; what follows is what stood there before. 0: damage lies before it. */
static int is_in_last_part(const struct trace_source *source, const struct file_end *end, uint64_t *ret_bytes)
{
    const struct trace_space *space = &source->space;
    uint64_t start = trace_space_end(space) - space->parts[space->part_count - 1].bytes;
    *ret_bytes = end->offset - start;
    return end->offset >= start;
}

/* The last part goes on, in another extent if need be; those that no index names are free. Returns 0 or an errno. */
static int append_to_part(struct trace_source *source, uint64_t part_bytes, const uint8_t *stored, size_t bytes)
{
    struct trace_space *space = &source->space;
    const struct space_part *parts[SPACE_MAX_PARTS];
    struct space_part *last = &space->parts[space->part_count - 1];
    uint32_t extents_before = last->extent_count;
    int grown, error;
    for (uint32_t i = 0; i < space->part_count; i++)
        parts[i] = &space->parts[i];
    last->bytes = part_bytes;
    /* On a full disk there is room where something stood before: an extent that was none of these stays taken, and the next one is tried. */
    while ((error = trace_space_append(space, source->file, last, stored, bytes, &grown)) == ENOSPC && grown)
        last->extent_count = extents_before;
    if (!error && (grown || !space->is_open))
        error = trace_space_commit(space, source->file, parts, space->part_count, space->is_open);
    return error;
}

static int append_block(struct trace_source *source, const struct file_end *end, const uint8_t *raw, size_t raw_bytes)
{
    size_t capacity = ZSTD_compressBound(raw_bytes);
    uint64_t part_bytes = 0;
    if (source->is_rotated && !is_in_last_part(source, end, &part_bytes))
        return STATUS_INVALID;
    uint8_t *stored = malloc(TRACE_BLOCK_HEADER_BYTES + capacity);
    if (!stored)
        return STATUS_NO_MEMORY;
    size_t stored_bytes = ZSTD_compress(stored + TRACE_BLOCK_HEADER_BYTES, capacity, raw, raw_bytes, COMPRESSION_LEVEL);
    struct trace_block block = {
        .type = end->has_block && end->last.type == TRACE_BLOCK_TALLY ? TRACE_BLOCK_TALLY : TRACE_BLOCK_DATA,
        .sequence = source->is_rotated && !part_bytes ? 0 : end->sequence,
        .raw_bytes = (uint32_t)raw_bytes,
        .stored_bytes = (uint32_t)stored_bytes,
        .payload_checksum = checksum_crc32c(stored + TRACE_BLOCK_HEADER_BYTES, stored_bytes),
        .first_event = end->last.first_event + end->last.event_count,
        .start_time_ns = end->last.end_time_ns,
        .end_time_ns = end->last.end_time_ns,
        .end_level = end->last.end_level,
    };
    trace_block_pack(&block, stored);
    size_t bytes = TRACE_BLOCK_HEADER_BYTES + stored_bytes;
    int error = source->is_rotated ? append_to_part(source, part_bytes, stored, bytes) : append_to_file(source->file, end, stored, bytes);
    free(stored);
    errno = error;
    return error ? STATUS_SYSTEM : 0;
}

static int write_epilogue(struct trace_source *source, const struct trace_epilogue *epilogue)
{
    struct definition_log log = {0};
    struct trace_tally totals = {0};
    struct tally_moment latest = {0};
    struct file_end end;
    uint8_t *raw = NULL;
    size_t raw_bytes = 0;
    int status = find_end(source, &end);
    int is_tally = !status && end.has_block && end.last.type == TRACE_BLOCK_TALLY;
    if (is_tally)
        status = read_tally(source, &end, &totals, &latest);
    if (!status)
        status = define_cut(&log, epilogue->reason);
    if (!status) {
        uint64_t written = end.last.first_event + end.last.event_count, known = epilogue->lost_events + epilogue->handed_events;
        uint64_t lost_events = known > written ? known - written : 0;
        raw_bytes = is_tally ? make_tally(&log, &end, &totals, &latest, lost_events, &raw) : make_data(&log, lost_events, &raw);
        status = raw_bytes ? append_block(source, &end, raw, raw_bytes) : STATUS_NO_MEMORY;
    }
    definition_log_done(&log);
    free(raw);
    return status;
}

int trace_epilogue_write(int file, const struct trace_epilogue *epilogue)
{
    return write_epilogue(&(struct trace_source){.file = file}, epilogue);
}

int trace_epilogue_write_of(int file, uint64_t session_id, uint32_t pid, const struct trace_epilogue *epilogue)
{
    struct trace_source source = {.file = file};
    struct trace_identity identity;
    int status = read_identity(&source, &identity);
    if (!status && (identity.session_id != session_id || identity.pid != pid))
        status = STATUS_INVALID;
    if (!status && identity.flags & TRACE_ROTATED)
        status = load_parts(&source, &identity);
    if (!status)
        status = write_epilogue(&source, epilogue);
    trace_space_done(&source.space);
    return status;
}
