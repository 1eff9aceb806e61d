/* Headers and the end block, both ways (trace_block.h). Any thread; never allocates. */
#include "trace_block.h"

#include <stdarg.h>
#include <stdio.h>

#include "checksum.h"

int trace_fail(struct status_detail *detail, int status, uint64_t offset, const char *format, ...)
{
    if (detail) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(detail->message, sizeof(detail->message), format, arguments);
        va_end(arguments);
        detail->status = status;
        detail->offset = offset;
    }
    return status;
}

static uint32_t version_for(uint32_t flags)
{
    return flags & TRACE_WEIGHTED    ? TRACE_VERSION
           : flags & TRACE_RESAMPLED ? TRACE_VERSION_RESAMPLED
           : flags & TRACE_ROTATED   ? TRACE_VERSION_ROTATED
                                     : TRACE_VERSION_PLAIN;
}

void trace_file_header_pack(const struct trace_identity *identity, uint8_t to[TRACE_FILE_HEADER_BYTES])
{
    memset(to, 0, TRACE_FILE_HEADER_BYTES);
    memcpy(to, TRACE_MAGIC, 8);
    put_u32(to + 8, version_for(identity->flags));
    put_u32(to + 12, TRACE_FILE_HEADER_BYTES);
    put_u64(to + 16, identity->session_id);
    put_u64(to + 24, identity->start_monotonic_ns);
    put_u64(to + 32, identity->start_realtime_ns);
    put_u64(to + 40, identity->sampling_interval_bytes);
    put_u64(to + 48, identity->copy_threshold_bytes);
    put_u32(to + 56, identity->pid);
    put_u32(to + 60, identity->parent_pid);
    put_u32(to + 64, identity->flags);
    put_u32(to + 92, checksum_crc32c(to, 92));
}

void trace_file_header_set_flags(uint8_t header[TRACE_FILE_HEADER_BYTES], uint32_t flags)
{
    if (version_for(flags) > get_u32(header + 8))
        put_u32(header + 8, version_for(flags));
    put_u32(header + 64, flags);
    put_u32(header + 92, checksum_crc32c(header, 92));
}

int trace_file_header_unpack(const uint8_t *bytes, size_t count, struct trace_identity *ret_identity, uint32_t *ret_version,
                             struct status_detail *detail)
{
    if (count < 12 || memcmp(bytes, TRACE_MAGIC, 8) != 0)
        return trace_fail(detail, STATUS_NOT_A_TRACE, 0, "not a heapline trace");
    uint32_t version = get_u32(bytes + 8);
    if (version > TRACE_VERSION)
        return trace_fail(detail, STATUS_NEWER_VERSION, 8, "trace of format version %u, this heapline reads up to version %u",
                          version, (unsigned)TRACE_VERSION);
    if (count < TRACE_FILE_HEADER_BYTES)
        return trace_fail(detail, STATUS_CORRUPT, count, "the file ends within its header, after %zu bytes", count);
    if (get_u32(bytes + 92) != checksum_crc32c(bytes, 92))
        return trace_fail(detail, STATUS_CORRUPT, 0, "the checksum of the file header is wrong");
    if (!version || get_u32(bytes + 12) != TRACE_FILE_HEADER_BYTES)
        return trace_fail(detail, STATUS_CORRUPT, 8, "the file header has an impossible version or length");
    *ret_version = version;
    *ret_identity = (struct trace_identity){
        .session_id = get_u64(bytes + 16),
        .start_monotonic_ns = get_u64(bytes + 24),
        .start_realtime_ns = get_u64(bytes + 32),
        .sampling_interval_bytes = get_u64(bytes + 40),
        .copy_threshold_bytes = get_u64(bytes + 48),
        .pid = get_u32(bytes + 56),
        .parent_pid = get_u32(bytes + 60),
        .flags = get_u32(bytes + 64),
    };
    return 0;
}

void trace_block_pack(const struct trace_block *block, uint8_t to[TRACE_BLOCK_HEADER_BYTES])
{
    memset(to, 0, TRACE_BLOCK_HEADER_BYTES);
    put_u32(to, TRACE_BLOCK_SYNC);
    put_u32(to + 4, block->type);
    put_u32(to + 8, block->sequence);
    put_u32(to + 12, block->raw_bytes);
    put_u32(to + 16, block->stored_bytes);
    put_u32(to + 20, block->payload_checksum);
    if (block->type == TRACE_BLOCK_TALLY) {
        put_u64(to + 104, block->event_count);
        put_u64(to + 112, block->peak_event);
    } else {
        put_u32(to + 24, (uint32_t)block->event_count);
        put_u32(to + 28, (uint32_t)block->peak_event);
    }
    put_u64(to + 32, block->first_event);
    put_u64(to + 40, block->start_time_ns);
    put_u64(to + 48, block->end_time_ns);
    put_u64(to + 56, block->peak_bytes);
    put_u64(to + 64, block->peak_object_bytes);
    put_u64(to + 72, block->peak_time_ns);
    put_u64(to + 80, block->end_level.outside_bytes);
    put_u64(to + 88, block->end_level.arena_bytes);
    put_u64(to + 96, block->end_level.object_bytes);
    put_u32(to + 124, checksum_crc32c(to, 124));
}

static const char *block_problem(const struct trace_block *block)
{
    uint32_t table_bytes = block->type == TRACE_BLOCK_TALLY     ? TALLY_SECTION_TABLE_BYTES
                           : block->type == TRACE_BLOCK_SEGMENT ? SEGMENT_SECTION_TABLE_BYTES
                                                                : TRACE_SECTION_TABLE_BYTES;
    if (block->type != TRACE_BLOCK_DATA && block->type != TRACE_BLOCK_END && block->type != TRACE_BLOCK_TALLY &&
        block->type != TRACE_BLOCK_SEGMENT)
        return "its type is unknown";
    if (block->type == TRACE_BLOCK_END && (block->stored_bytes != TRACE_END_BYTES || block->raw_bytes != TRACE_END_BYTES))
        return "an end block of a wrong length";
    if (block->type != TRACE_BLOCK_END && (block->raw_bytes < table_bytes || block->raw_bytes > TRACE_MAX_RAW_BYTES))
        return "its length is out of bounds";
    if (block->stored_bytes > TRACE_MAX_RAW_BYTES + (TRACE_MAX_RAW_BYTES >> 7))
        return "its stored length is out of bounds";
    if (block->event_count > (block->type == TRACE_BLOCK_TALLY ? TRACE_MAX_TALLY_EVENTS : TRACE_MAX_BLOCK_EVENTS) ||
        block->peak_event > block->event_count || (block->type == TRACE_BLOCK_SEGMENT && block->event_count))
        return "its event count is out of bounds";
    if (block->end_time_ns < block->start_time_ns)
        return "its time runs backwards";
    return NULL;
}

int trace_block_unpack(const uint8_t from[TRACE_BLOCK_HEADER_BYTES], uint64_t offset, struct trace_block *ret_block,
                       struct status_detail *detail)
{
    if (get_u32(from) != TRACE_BLOCK_SYNC)
        return trace_fail(detail, STATUS_CORRUPT, offset, "no block begins at byte %llu", (unsigned long long)offset);
    if (get_u32(from + 124) != checksum_crc32c(from, 124))
        return trace_fail(detail, STATUS_CORRUPT, offset, "the checksum of the block header at byte %llu is wrong",
                          (unsigned long long)offset);
    int is_tally = get_u32(from + 4) == TRACE_BLOCK_TALLY;
    struct trace_block block = {
        .type = get_u32(from + 4),
        .sequence = get_u32(from + 8),
        .raw_bytes = get_u32(from + 12),
        .stored_bytes = get_u32(from + 16),
        .payload_checksum = get_u32(from + 20),
        .event_count = is_tally ? get_u64(from + 104) : get_u32(from + 24),
        .peak_event = is_tally ? get_u64(from + 112) : get_u32(from + 28),
        .first_event = get_u64(from + 32),
        .start_time_ns = get_u64(from + 40),
        .end_time_ns = get_u64(from + 48),
        .peak_bytes = get_u64(from + 56),
        .peak_object_bytes = get_u64(from + 64),
        .peak_time_ns = get_u64(from + 72),
        .end_level = {get_u64(from + 80), get_u64(from + 88), get_u64(from + 96)},
    };
    const char *problem = block_problem(&block);
    if (problem)
        return trace_fail(detail, STATUS_CORRUPT, offset, "the block at byte %llu is damaged: %s", (unsigned long long)offset,
                          problem);
    *ret_block = block;
    return 0;
}

void trace_end_pack(const struct trace_end *end, uint8_t to[TRACE_END_BYTES])
{
    const struct trace_totals *totals = &end->totals;
    const uint64_t words[] = {
        end->time_ns, totals->event_count, totals->allocated_bytes, totals->allocations, totals->copied_bytes, totals->copies,
        totals->lost_events, totals->unknown_frees, totals->peak_bytes, totals->peak_event, totals->peak_time_ns,
        totals->peak_rss_bytes, totals->live_bytes,
    };
    _Static_assert(TRACE_END_BYTES == 16 + sizeof(words), "the end block's length");
    put_u32(to, end->reason);
    put_u32(to + 4, (uint32_t)end->status);
    put_u64(to + 8, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        put_u64(to + 16 + 8 * i, words[i]);
}

void trace_end_unpack(const uint8_t from[TRACE_END_BYTES], struct trace_end *ret_end)
{
    struct trace_totals *totals = &ret_end->totals;
    uint64_t *const words[] = {
        &ret_end->time_ns, &totals->event_count, &totals->allocated_bytes, &totals->allocations, &totals->copied_bytes,
        &totals->copies, &totals->lost_events, &totals->unknown_frees, &totals->peak_bytes, &totals->peak_event,
        &totals->peak_time_ns, &totals->peak_rss_bytes, &totals->live_bytes,
    };
    ret_end->reason = get_u32(from);
    ret_end->status = (int32_t)get_u32(from + 4);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        *words[i] = get_u64(from + 16 + 8 * i);
}
