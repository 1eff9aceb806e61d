/* See tally_codec.h. */
#include "tally_codec.h"

/* What of a stack is written: a byte before its figures. */
enum stack_part {
    PART_LIVE = 1,
    PART_ALLOCATED = 2,
    PART_TEMPORARY = 4,
    PART_COPIED = 8,
    PART_PEAK = 16,
    PART_BIRTHS = 32,
    PART_ERRORS = 64,
    PART_COPY_ERRORS = 128,
    PART_END = 256
};

/* No variance is larger, nor is any that is lost. */
#define MAX_VARIANCE 1e200

/* ---- encoding ---- */

/* As the bits of a double (IEEE 754). Sums and differences may end up a little below zero. */
static uint8_t *put_variance(uint8_t *to, double variance)
{
    uint64_t bits;
    if (!(variance > 0))
        variance = 0;
    memcpy(&bits, &variance, sizeof bits);
    return varint_put(to, bits);
}

/* The bits of a double from its last byte to its first: sums of whole numbers end with many zeros, which then take no room. */
static uint8_t *put_double(uint8_t *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return varint_put(to, __builtin_bswap64(bits));
}

uint8_t *tally_put_figures(uint8_t *to, const struct trace_tally *tally)
{
    to = varint_put(to, tally->lost_events);
    to = varint_put(to, tally->unknown_frees);
    to = varint_put(to, tally->small_copies);
    to = varint_put(to, tally->small_copied_bytes);
    to = varint_put(to, tally->peak_rss_bytes);
    if (tally->has_peak) {
        to = varint_put(to, tally->peak_level.outside_bytes);
        to = varint_put(to, tally->peak_level.arena_bytes);
    }
    if (!tally->longest_interval_bytes)
        return to;
    to = varint_put(to, tally->longest_interval_bytes);
    to = put_variance(to, tally->allocated_variance);
    to = put_variance(to, tally->live_variance);
    to = put_variance(to, tally->peak_variance);
    return tally->has_errors ? varint_put(to, 1) : to;
}

uint8_t *tally_put_moment(uint8_t *to, const struct tally_moment *moment, uint64_t *previous_ns)
{
    to = varint_put(to, moment->time_ns - *previous_ns);
    to = varint_put(to, moment->heap_bytes);
    to = varint_put(to, moment->heap_peak_bytes - moment->heap_bytes);
    to = varint_put(to, moment->rss_bytes);
    *previous_ns = moment->time_ns;
    return to;
}

static unsigned parts_of(const struct tally_stack *stack)
{
    unsigned parts = 0;
    if (stack->live_bytes || stack->live_allocations)
        parts |= PART_LIVE;
    if (stack->allocated_bytes || stack->allocations)
        parts |= PART_ALLOCATED;
    if (stack->temporary_allocations)
        parts |= PART_TEMPORARY;
    if (stack->copied_bytes || stack->copies)
        parts |= PART_COPIED;
    if (stack->peak_bytes || stack->peak_allocations)
        parts |= PART_PEAK;
    if (stack->errors.largest_block > 0 || stack->errors.live != 0 || stack->errors.allocations != 0 || stack->errors.peak != 0)
        parts |= PART_ERRORS;
    if (stack->errors.copies != 0)
        parts |= PART_COPY_ERRORS;
    return parts | (stack->has_births ? PART_BIRTHS : 0);
}

uint8_t *tally_put_stack(uint8_t *to, const struct tally_stack *stack, uint32_t *next_id)
{
    unsigned parts = parts_of(stack);
    to = varint_put(to, stack->stack_id - *next_id);
    *to++ = (uint8_t)parts;
    if (parts & PART_LIVE) {
        to = varint_put(to, zigzag(stack->live_bytes));
        to = varint_put(to, zigzag(stack->live_allocations));
    }
    if (parts & PART_ALLOCATED) {
        to = varint_put(to, stack->allocated_bytes);
        to = varint_put(to, stack->allocations);
    }
    if (parts & PART_TEMPORARY)
        to = varint_put(to, zigzag(stack->temporary_allocations));
    if (parts & PART_COPIED) {
        to = varint_put(to, stack->copied_bytes);
        to = varint_put(to, stack->copies);
    }
    if (parts & PART_PEAK) {
        to = varint_put(to, zigzag(stack->peak_bytes));
        to = varint_put(to, zigzag(stack->peak_allocations));
    }
    if (parts & PART_BIRTHS) {
        to = varint_put(to, stack->oldest);
        to = varint_put(to, stack->newest);
    }
    if (parts & PART_ERRORS) {
        to = put_double(to, stack->errors.live);
        to = put_double(to, stack->errors.allocations);
        to = put_double(to, stack->errors.peak);
        to = put_double(to, stack->errors.largest_block);
    }
    if (parts & PART_COPY_ERRORS) {
        to = put_double(to, stack->errors.copies);
        to = put_double(to, stack->errors.largest_copy);
    }
    *next_id = stack->stack_id + 1;
    return to;
}

/* ---- decoding ---- */

/* A section that is used up gives zeros and stays past its end, which whoever reads notices. */
static uint64_t take(struct tally_cursor *cursor)
{
    uint64_t value = 0;
    if (cursor->next < cursor->end)
        cursor->next = varint_get(cursor->next, &value);
    else
        cursor->next = cursor->end + 1;
    return value;
}

static int64_t take_signed(struct tally_cursor *cursor)
{
    return unzigzag(take(cursor));
}

/* What is no number, or none that can be, counts as none. */
static double take_double(struct tally_cursor *cursor)
{
    uint64_t bits = __builtin_bswap64(take(cursor));
    double value;
    memcpy(&value, &bits, sizeof value);
    return value > -MAX_VARIANCE && value < MAX_VARIANCE ? value : 0;
}

int tally_next_moment(struct tally_cursor *cursor, struct tally_moment *ret_moment)
{
    if (cursor->next >= cursor->end)
        return 0;
    ret_moment->time_ns = cursor->previous_ns += take(cursor);
    ret_moment->heap_bytes = take(cursor);
    ret_moment->heap_peak_bytes = ret_moment->heap_bytes + take(cursor);
    ret_moment->rss_bytes = take(cursor);
    return 1;
}

/* Returns the parts. */
static unsigned take_stack(struct tally_cursor *cursor, struct tally_stack *ret_stack)
{
    uint64_t gap = take(cursor), id = cursor->next_id + (gap <= UINT32_MAX ? gap : UINT32_MAX + 1ull);
    unsigned parts = cursor->next < cursor->end ? *cursor->next : PART_END;
    cursor->next++;
    cursor->next_id = id + 1;
    *ret_stack = (struct tally_stack){.stack_id = (uint32_t)id, .has_births = (parts & PART_BIRTHS) != 0};
    if (parts & PART_LIVE) {
        ret_stack->live_bytes = take_signed(cursor);
        ret_stack->live_allocations = take_signed(cursor);
    }
    if (parts & PART_ALLOCATED) {
        ret_stack->allocated_bytes = take(cursor);
        ret_stack->allocations = take(cursor);
    }
    if (parts & PART_TEMPORARY)
        ret_stack->temporary_allocations = take_signed(cursor);
    if (parts & PART_COPIED) {
        ret_stack->copied_bytes = take(cursor);
        ret_stack->copies = take(cursor);
    }
    if (parts & PART_PEAK) {
        ret_stack->peak_bytes = take_signed(cursor);
        ret_stack->peak_allocations = take_signed(cursor);
    }
    if (parts & PART_BIRTHS) {
        ret_stack->oldest = take(cursor);
        ret_stack->newest = take(cursor);
    }
    if (parts & PART_ERRORS) {
        ret_stack->errors.live = take_double(cursor);
        ret_stack->errors.allocations = take_double(cursor);
        ret_stack->errors.peak = take_double(cursor);
        ret_stack->errors.largest_block = take_double(cursor);
    }
    if (parts & PART_COPY_ERRORS) {
        ret_stack->errors.copies = take_double(cursor);
        ret_stack->errors.largest_copy = take_double(cursor);
    }
    return parts;
}

int tally_next_stack(struct tally_cursor *cursor, struct tally_stack *ret_stack)
{
    if (cursor->next >= cursor->end)
        return 0;
    take_stack(cursor, ret_stack);
    return 1;
}

const char *tally_payload_begin(struct tally_payload *payload, const uint8_t *raw, size_t raw_bytes)
{
    const uint8_t *starts[TALLY_SECTION_COUNT], *section = raw + TALLY_SECTION_TABLE_BYTES, *end = raw + raw_bytes;
    size_t lengths[TALLY_SECTION_COUNT];
    for (int i = 0; i < TALLY_SECTION_COUNT; i++) {
        lengths[i] = get_u32(raw + 4 * i);
        if (lengths[i] > (size_t)(end - section))
            return "a section is longer than its block";
        starts[i] = section;
        section += lengths[i];
    }
    if (section != end)
        return "bytes follow the last section";
    payload->definitions = starts[TALLY_SECTION_DEFINITIONS];
    payload->definitions_end = starts[TALLY_SECTION_FIGURES];
    payload->moments = (struct tally_cursor){.next = starts[TALLY_SECTION_MOMENTS], .end = starts[TALLY_SECTION_STACKS],
                                             .previous_ns = payload->tally.start_time_ns};
    payload->stacks = (struct tally_cursor){.next = starts[TALLY_SECTION_STACKS], .end = end};
    return NULL;
}

/* What is no number, or none that can be, counts as none. */
static double take_variance(struct tally_cursor *cursor)
{
    uint64_t bits = take(cursor);
    double variance;
    memcpy(&variance, &bits, sizeof variance);
    return variance >= 0 && variance < MAX_VARIANCE ? variance : 0;
}

/* Returns what follows them. */
static struct tally_cursor take_totals(struct tally_payload *payload)
{
    struct trace_tally *tally = &payload->tally;
    struct tally_cursor figures = {.next = payload->definitions_end, .end = payload->moments.next};
    tally->lost_events = take(&figures);
    tally->unknown_frees = take(&figures);
    tally->small_copies = take(&figures);
    tally->small_copied_bytes = take(&figures);
    tally->peak_rss_bytes = take(&figures);
    return figures;
}

void tally_payload_totals(struct tally_payload *payload)
{
    take_totals(payload);
}

static const char *check_figures(struct tally_payload *payload)
{
    struct trace_tally *tally = &payload->tally;
    struct tally_cursor figures = take_totals(payload);
    if (tally->has_peak) {
        tally->peak_level.outside_bytes = take(&figures);
        tally->peak_level.arena_bytes = take(&figures);
        if (trace_level_total(&tally->peak_level) != tally->peak_bytes)
            return "its figures make another high-water mark than its header";
    }
    if (figures.next < figures.end) {
        tally->longest_interval_bytes = take(&figures);
        tally->allocated_variance = take_variance(&figures);
        tally->live_variance = take_variance(&figures);
        tally->peak_variance = take_variance(&figures);
    }
    if (figures.next < figures.end)
        tally->has_errors = take(&figures) != 0;
    return figures.next == figures.end ? NULL : "its figures don't fill their section";
}

/* They lead to the level at the end, and meet the highest one on the way: the one at the start, or the peak. */
static const char *check_moments(const struct tally_payload *payload, const struct tally_context *context)
{
    const struct trace_tally *tally = &payload->tally;
    struct tally_cursor cursor = payload->moments;
    struct tally_moment moment = {0};
    uint64_t before_ns = cursor.previous_ns, highest_bytes = 0, start_bytes = trace_level_total(&context->start_level);
    while (tally_next_moment(&cursor, &moment)) {
        if (moment.time_ns < before_ns || moment.time_ns > tally->end_time_ns)
            return "a moment lies outside its time";
        if (moment.heap_peak_bytes < moment.heap_bytes)
            return "a moment's figures overflow";
        before_ns = moment.time_ns;
        if (moment.heap_peak_bytes > highest_bytes)
            highest_bytes = moment.heap_peak_bytes;
    }
    if (cursor.next != cursor.end)
        return "its moments don't fill their section";
    if (moment.time_ns != tally->end_time_ns || moment.heap_bytes != trace_level_total(&tally->end_level) ||
        highest_bytes != (start_bytes > tally->peak_bytes ? start_bytes : tally->peak_bytes))
        return "its moments lead to another level than its header says";
    return NULL;
}

static const char *check_birth(const struct tally_payload *payload, const struct tally_context *context, uint32_t stack_id, uint64_t birth)
{
    const struct live_slots *slots = context->slots;
    uint64_t value = birth >> 1;
    if (birth & TALLY_BIRTH_TIME)
        return value <= payload->tally.end_time_ns ? NULL : "a block is younger than the trace";
    if (value >= slots->used_count || !live_slot_is_live(&slots->slots[value]) || slots->slots[value].stack_id != stack_id)
        return "a block that the stack didn't have";
    return NULL;
}

static const char *check_stacks(struct tally_payload *payload, const struct tally_context *context)
{
    struct tally_cursor cursor = payload->stacks;
    struct tally_stack stack;
    uint64_t live_bytes = 0, peak_bytes = 0;
    payload->sums = (struct trace_totals){0};
    while (cursor.next < cursor.end) {
        unsigned parts = take_stack(&cursor, &stack);
        if (parts >= PART_END || (parts & PART_PEAK && !payload->tally.has_peak) ||
            (parts & (PART_ERRORS | PART_COPY_ERRORS) && !payload->tally.has_errors))
            return "a stack has impossible parts";
        if (cursor.next_id > (uint64_t)context->stack_count + 1)
            return "an undefined stack";
        const char *problem = parts & PART_BIRTHS ? check_birth(payload, context, stack.stack_id, stack.oldest) : NULL;
        if (!problem && parts & PART_BIRTHS)
            problem = check_birth(payload, context, stack.stack_id, stack.newest);
        if (problem)
            return problem;
        live_bytes += (uint64_t)stack.live_bytes;
        peak_bytes += (uint64_t)stack.peak_bytes;
        payload->sums.allocated_bytes += stack.allocated_bytes;
        payload->sums.allocations += stack.allocations;
        payload->sums.copied_bytes += stack.copied_bytes;
        payload->sums.copies += stack.copies;
    }
    if (cursor.next != cursor.end)
        return "its stacks don't fill their section";
    /* Arenas belong to no stack. */
    uint64_t start_bytes = context->start_level.outside_bytes + context->start_level.object_bytes;
    if (start_bytes + live_bytes != payload->tally.end_level.outside_bytes + payload->tally.end_level.object_bytes)
        return "its stacks add up to another heap level than its header says";
    if (payload->tally.has_peak &&
        start_bytes + peak_bytes != payload->tally.peak_level.outside_bytes + payload->tally.peak_level.object_bytes)
        return "its stacks add up to another high-water mark than its header says";
    return NULL;
}

const char *tally_payload_check(struct tally_payload *payload, const struct tally_context *context)
{
    const char *problem = check_figures(payload);
    if (!problem)
        problem = check_moments(payload, context);
    return problem ? problem : check_stacks(payload, context);
}
