/* See tally_merge.h. */
#include "tally_merge.h"

#include <stdlib.h>

#include "checksum.h"

void stored_tally_done(struct stored_tally *stored)
{
    free(stored->payload);
    *stored = (struct stored_tally){0};
}

int stored_tally_pack(struct stored_tally *stored, ZSTD_CCtx *zstd, const uint8_t *raw, size_t raw_bytes)
{
    size_t bound = ZSTD_compressBound(raw_bytes);
    uint8_t *payload = malloc(bound), *fitted;
    if (!payload)
        return STATUS_NO_MEMORY;
    size_t stored_bytes = ZSTD_compress2(zstd, payload, bound, raw, raw_bytes);
    if (ZSTD_isError(stored_bytes) || !(fitted = realloc(payload, stored_bytes))) {
        free(payload);
        return STATUS_NO_MEMORY;
    }
    stored->payload = fitted;
    stored->block.type = TRACE_BLOCK_TALLY;
    stored->block.raw_bytes = (uint32_t)raw_bytes;
    stored->block.stored_bytes = (uint32_t)stored_bytes;
    stored->block.payload_checksum = checksum_crc32c(fitted, stored_bytes);
    return 0;
}

/* ---- two become one ---- */

/* The payload, decompressed, its cursors at their beginnings. The caller frees it. NULL without memory. */
static uint8_t *unpack(const struct stored_tally *stored, struct tally_payload *ret_payload)
{
    uint8_t *raw = calloc(1, (size_t)stored->block.raw_bytes + VARINT_MAX_BYTES);
    ret_payload->tally = stored->tally;
    if (raw && ZSTD_decompress(raw, stored->block.raw_bytes, stored->payload, stored->block.stored_bytes) == stored->block.raw_bytes &&
        !tally_payload_begin(ret_payload, raw, stored->block.raw_bytes))
        return raw;
    free(raw);
    return NULL;
}

static struct trace_tally merge_figures(const struct trace_tally *first, const struct trace_tally *second)
{
    struct trace_tally both = *second;
    both.first_event = first->first_event;
    both.event_count += first->event_count;
    both.start_time_ns = first->start_time_ns;
    if (second->has_peak || !first->has_peak)
        return both;
    both.has_peak = 1;
    both.peak_event = first->peak_event;
    both.peak_time_ns = first->peak_time_ns;
    both.peak_bytes = first->peak_bytes;
    both.peak_level = first->peak_level;
    return both;
}

static struct trace_block merge_headers(const struct trace_block *first, const struct trace_block *second)
{
    struct trace_block both = *first;
    both.event_count += second->event_count;
    both.end_time_ns = second->end_time_ns;
    both.end_level = second->end_level;
    if (second->peak_event && (!first->peak_event || second->peak_bytes > first->peak_bytes ||
                               (second->peak_bytes == first->peak_bytes && second->peak_object_bytes > first->peak_object_bytes))) {
        both.peak_bytes = second->peak_bytes;
        both.peak_object_bytes = second->peak_object_bytes;
        both.peak_time_ns = second->peak_time_ns;
        both.peak_event = first->event_count + second->peak_event;
    }
    return both;
}

/* Pairs become one until there are few; the last one stays the last. */
static uint32_t thin_moments(struct tally_moment *moments, uint32_t count)
{
    while (count > STORED_TALLY_MOMENTS) {
        uint32_t kept = 0;
        for (uint32_t i = count % 2; i + 1 < count; i += 2) {
            uint64_t peak_bytes = moments[i].heap_peak_bytes;
            if (i == 1 && moments[0].heap_peak_bytes > peak_bytes) /* an odd one joins the first pair */
                peak_bytes = moments[0].heap_peak_bytes;
            moments[kept] = moments[i + 1];
            if (peak_bytes > moments[kept].heap_peak_bytes)
                moments[kept].heap_peak_bytes = peak_bytes;
            kept++;
        }
        count = kept;
    }
    return count;
}

static uint32_t count_moments(struct tally_cursor cursor)
{
    struct tally_moment moment;
    uint32_t count = 0;
    while (tally_next_moment(&cursor, &moment))
        count++;
    return count;
}

static uint8_t *put_moments(uint8_t *to, const struct tally_payload payloads[2])
{
    uint32_t capacity = count_moments(payloads[0].moments) + count_moments(payloads[1].moments), count = 0;
    struct tally_moment *moments = calloc(capacity + 1u, sizeof *moments);
    if (!moments)
        return NULL;
    for (int i = 0; i < 2; i++) {
        struct tally_cursor cursor = payloads[i].moments;
        while (tally_next_moment(&cursor, &moments[count]))
            count++;
    }
    count = thin_moments(moments, count);
    uint64_t previous_ns = payloads[0].tally.start_time_ns;
    for (uint32_t i = 0; i < count; i++)
        to = tally_put_moment(to, &moments[i], &previous_ns);
    free(moments);
    return to;
}

/* But for what it did up to the high-water mark (set_peak). */
static void add_stack(struct tally_stack *to, const struct tally_stack *from)
{
    struct count_error errors = from->errors;
    errors.peak = 0;
    to->live_bytes += from->live_bytes;
    to->live_allocations += from->live_allocations;
    to->allocated_bytes += from->allocated_bytes;
    to->allocations += from->allocations;
    to->temporary_allocations += from->temporary_allocations;
    to->copied_bytes += from->copied_bytes;
    to->copies += from->copies;
    count_error_add(&to->errors, &errors);
}

/* What the stack did up to the high-water mark: in the first stretch, or in all of it and in part of the second. */
static void set_peak(struct tally_stack *both, const struct tally_stack rows[2], const int has[2], const struct tally_payload payloads[2])
{
    if (payloads[1].tally.has_peak) {
        both->peak_bytes = (has[0] ? rows[0].live_bytes : 0) + (has[1] ? rows[1].peak_bytes : 0);
        both->peak_allocations = (has[0] ? rows[0].live_allocations : 0) + (has[1] ? rows[1].peak_allocations : 0);
        both->errors.peak = (has[0] ? rows[0].errors.live : 0) + (has[1] ? rows[1].errors.peak : 0);
    } else if (payloads[0].tally.has_peak && has[0]) {
        both->peak_bytes = rows[0].peak_bytes;
        both->peak_allocations = rows[0].peak_allocations;
        both->errors.peak = rows[0].errors.peak;
    }
}

static int is_nothing(const struct tally_stack *stack)
{
    return !(stack->live_bytes || stack->live_allocations || stack->allocated_bytes || stack->allocations || stack->temporary_allocations ||
             stack->copied_bytes || stack->copies || stack->peak_bytes || stack->peak_allocations || stack->errors.largest_block > 0);
}

static uint8_t *put_stacks(uint8_t *to, const struct tally_payload payloads[2])
{
    struct tally_cursor cursors[2] = {payloads[0].stacks, payloads[1].stacks};
    struct tally_stack rows[2];
    uint32_t next_id = 0;
    int waiting[2] = {tally_next_stack(&cursors[0], &rows[0]), tally_next_stack(&cursors[1], &rows[1])};
    while (waiting[0] || waiting[1]) {
        uint32_t id = waiting[0] && (!waiting[1] || rows[0].stack_id <= rows[1].stack_id) ? rows[0].stack_id : rows[1].stack_id;
        int has[2] = {waiting[0] && rows[0].stack_id == id, waiting[1] && rows[1].stack_id == id};
        struct tally_stack both = {.stack_id = id};
        set_peak(&both, rows, has, payloads);
        for (int i = 0; i < 2; i++)
            if (has[i]) {
                add_stack(&both, &rows[i]);
                waiting[i] = tally_next_stack(&cursors[i], &rows[i]);
            }
        if (!is_nothing(&both))
            to = tally_put_stack(to, &both, &next_id);
    }
    return to;
}

/* A number grows by a byte at most when two are added up, and so does what both rows of a stack take; but a double may grow from one byte to ten:
 * six of them, in a row of eight bytes. */
static size_t merged_max_bytes(const struct stored_tally *first, const struct stored_tally *second)
{
    size_t growth = first->tally.has_errors || second->tally.has_errors ? 8 : 2;
    return growth * ((size_t)first->block.raw_bytes + second->block.raw_bytes) + TALLY_FIGURES_MAX_BYTES +
           2 * (size_t)(STORED_TALLY_MOMENTS + 1) * TALLY_MOMENT_MAX_BYTES + 4096;
}

static int merge_payloads(const struct tally_payload payloads[2], const struct trace_tally *tally, uint8_t *raw, size_t *ret_bytes)
{
    uint8_t *start[TALLY_SECTION_COUNT + 1], *to = raw + TALLY_SECTION_TABLE_BYTES;
    start[TALLY_SECTION_DEFINITIONS] = start[TALLY_SECTION_FIGURES] = to;
    start[TALLY_SECTION_MOMENTS] = to = tally_put_figures(to, tally);
    if (!(to = put_moments(to, payloads)))
        return STATUS_NO_MEMORY;
    start[TALLY_SECTION_STACKS] = to;
    start[TALLY_SECTION_COUNT] = to = put_stacks(to, payloads);
    for (int i = 0; i < TALLY_SECTION_COUNT; i++)
        put_u32(raw + 4 * i, (uint32_t)(start[i + 1] - start[i]));
    *ret_bytes = (size_t)(to - raw);
    return *ret_bytes <= TRACE_MAX_RAW_BYTES ? 0 : STATUS_TOO_LARGE;
}

int stored_tally_merge(struct stored_tally *first, struct stored_tally *second, ZSTD_CCtx *zstd)
{
    struct stored_tally both = {.block = merge_headers(&first->block, &second->block), .tally = merge_figures(&first->tally, &second->tally)};
    struct tally_payload payloads[2];
    uint8_t *raws[2] = {unpack(first, &payloads[0]), unpack(second, &payloads[1])}, *raw = malloc(merged_max_bytes(first, second));
    size_t raw_bytes;
    int status = raws[0] && raws[1] && raw ? merge_payloads(payloads, &both.tally, raw, &raw_bytes) : STATUS_NO_MEMORY;
    if (!status)
        status = stored_tally_pack(&both, zstd, raw, raw_bytes);
    if (!status) {
        stored_tally_done(first);
        stored_tally_done(second);
        *first = both;
    }
    free(raws[0]);
    free(raws[1]);
    free(raw);
    return status;
}
