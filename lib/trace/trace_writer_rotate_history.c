/* What a rotated trace keeps of segments that have made room: their definitions, and their sums, which grow coarser with age
 * (trace_writer_rotation.h). Once a segment; allocates. */
#include <errno.h>
#include <stdlib.h>

#include "checksum.h"
#include "trace_writer_rotation.h"

/* History is coarse by age, but the oldest of it too has some fifty points. */
#define HISTORY_MIN_AGE_SHARE 16

void rotation_fail(struct trace_writer *writer, int error)
{
    if (error && !writer->failed)
        writer->failed = error;
}

void rotation_commit(struct trace_writer *writer, int is_open)
{
    struct trace_rotation *rotation = writer->rotation;
    const struct space_part *parts[SPACE_MAX_PARTS] = {&rotation->definitions, &rotation->history_part};
    uint32_t count = 2;
    for (uint32_t i = 0; i < rotation->segment_count; i++)
        parts[count++] = &rotation->segments[i].part;
    if (!writer->failed)
        rotation_fail(writer, trace_space_commit(&rotation->space, writer->file, parts, count, is_open && rotation->segment_count));
}

/* ---- definitions ---- */

void rotation_store_definitions(struct trace_writer *writer, size_t end)
{
    struct trace_rotation *rotation = writer->rotation;
    size_t bytes = end - rotation->definitions_stored, raw_bytes = TRACE_SECTION_TABLE_BYTES + bytes;
    int grown;
    if (!bytes || writer->failed)
        return;
    if (trace_writer_reserve(writer, raw_bytes)) {
        rotation_fail(writer, ENOMEM);
        return;
    }
    memset(writer->raw, 0, TRACE_SECTION_TABLE_BYTES);
    put_u32(writer->raw, (uint32_t)bytes);
    memcpy(writer->raw + TRACE_SECTION_TABLE_BYTES, writer->definitions.bytes + rotation->definitions_stored, bytes);
    size_t stored_bytes = ZSTD_compress2(writer->zstd, writer->stored + TRACE_BLOCK_HEADER_BYTES,
                                         writer->stored_capacity - TRACE_BLOCK_HEADER_BYTES, writer->raw, raw_bytes);
    if (ZSTD_isError(stored_bytes)) {
        rotation_fail(writer, ENOMEM);
        return;
    }
    struct trace_block block = {
        .type = TRACE_BLOCK_DATA,
        .sequence = rotation->definition_sequence++,
        .raw_bytes = (uint32_t)raw_bytes,
        .stored_bytes = (uint32_t)stored_bytes,
        .payload_checksum = checksum_crc32c(writer->stored + TRACE_BLOCK_HEADER_BYTES, stored_bytes),
    };
    trace_block_pack(&block, writer->stored);
    rotation_fail(writer, trace_space_append(&rotation->space, writer->file, &rotation->definitions, writer->stored,
                                           TRACE_BLOCK_HEADER_BYTES + stored_bytes, &grown));
    rotation->definitions_stored = end;
}

/* ---- history ---- */

static uint64_t history_bytes(const struct trace_rotation *rotation)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rotation->history_count; i++)
        bytes += TRACE_BLOCK_HEADER_BYTES + (uint64_t)rotation->history[i].block.stored_bytes;
    return bytes;
}

/* How coarse would the two that follow each other be, as seen from now? */
static double coarseness(const struct trace_rotation *rotation, uint32_t first, uint64_t now_ns)
{
    const struct trace_block *from = &rotation->history[first].block, *to = &rotation->history[first + 1].block;
    return (double)(to->end_time_ns - from->start_time_ns + 1) / (double)(now_ns - to->end_time_ns + now_ns / HISTORY_MIN_AGE_SHARE + 1);
}

/* Two become one where it is felt least. */
static int merge_once(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    uint32_t best = 0;
    for (uint32_t i = 1; i + 1 < rotation->history_count; i++)
        if (coarseness(rotation, i, writer->account.time_ns) < coarseness(rotation, best, writer->account.time_ns))
            best = i;
    int status = stored_tally_merge(&rotation->history[best], &rotation->history[best + 1], writer->zstd);
    if (status)
        return ENOMEM;
    rotation->history_count--;
    memmove(&rotation->history[best + 1], &rotation->history[best + 2], (rotation->history_count - best - 1) * sizeof rotation->history[0]);
    return 0;
}

void rotation_add_history(struct trace_writer *writer, struct stored_tally *summary)
{
    struct trace_rotation *rotation = writer->rotation;
    rotation->history[rotation->history_count++] = *summary;
    *summary = (struct stored_tally){0};
    while (rotation->history_count > 1 && !writer->failed &&
           (rotation->history_count > ROTATION_MAX_HISTORY || history_bytes(rotation) > rotation->history_bytes))
        rotation_fail(writer, merge_once(writer));
}

void rotation_write_history(struct trace_writer *writer, struct space_part *ret_old)
{
    struct trace_rotation *rotation = writer->rotation;
    uint8_t header[TRACE_BLOCK_HEADER_BYTES];
    int grown, error = 0;
    *ret_old = rotation->history_part;
    rotation->history_part = (struct space_part){0};
    for (uint32_t i = 0; i < rotation->history_count && !error && !writer->failed; i++) {
        struct stored_tally *stored = &rotation->history[i];
        stored->block.sequence = i;
        trace_block_pack(&stored->block, header);
        error = trace_space_append(&rotation->space, writer->file, &rotation->history_part, header, sizeof header, &grown);
        if (!error)
            error = trace_space_append(&rotation->space, writer->file, &rotation->history_part, stored->payload, stored->block.stored_bytes, &grown);
    }
    rotation_fail(writer, error);
}

void rotation_drop_oldest(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    struct rotation_segment dropped = rotation->segments[0];
    struct space_part old_history;
    rotation_store_definitions(writer, dropped.definitions_end);
    rotation_add_history(writer, &dropped.summary);
    rotation_write_history(writer, &old_history);
    memmove(rotation->segments, rotation->segments + 1, --rotation->segment_count * sizeof rotation->segments[0]);
    rotation_commit(writer, 1);
    trace_space_release(&rotation->space, &old_history);
    trace_space_release(&rotation->space, &dropped.part);
}
