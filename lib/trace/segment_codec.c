/* See segment_codec.h. */
#include "segment_codec.h"

#include "trace_format.h"

/* Beside enum trace_allocation_flag: behind its size stands what the block counts as. */
#define SEGMENT_FLAG_WEIGHTED 0x40u

/* ---- encoding: column by column ---- */

static uint8_t *put_number(uint8_t *to, size_t *bytes, uint64_t value)
{
    uint8_t scratch[VARINT_MAX_BYTES], *at = to ? to : scratch;
    size_t count = (size_t)(varint_put(at, value) - at);
    *bytes += count;
    return to ? to + count : NULL;
}

static struct trace_weight weight_of(const struct segment_state *state, uint32_t slot)
{
    static const struct trace_weight itself;
    return slot < state->weights->weight_count ? state->weights->weights[slot] : itself;
}

static uint8_t *put_size(const struct segment_state *state, uint32_t slot, uint8_t *to, size_t *bytes)
{
    struct trace_weight weight = weight_of(state, slot);
    to = put_number(to, bytes, live_slots_size(state->slots, slot));
    if (!weight.count)
        return to;
    to = put_number(to, bytes, weight.count);
    return put_number(to, bytes, weight.bytes);
}

static size_t put_column(const struct segment_state *state, enum segment_section section, uint8_t *to)
{
    const struct live_slots *slots = state->slots;
    uint64_t next = 0, birth = 0;
    size_t bytes = 0, ordinal = 0;
    for (uint32_t i = 0; i < slots->used_count; i++) {
        const struct live_slot *slot = &slots->slots[i];
        uint64_t value = 0;
        if (!live_slot_is_live(slot))
            continue;
        switch (section) {
        case SEGMENT_SECTION_GAPS:
            value = i - next;
            next = i + 1ull;
            break;
        case SEGMENT_SECTION_SIZES:
            to = put_size(state, i, to, &bytes);
            continue;
        case SEGMENT_SECTION_FLAGS:
            value = (live_slot_flags(slot) & CLASS_FLAGS) | (weight_of(state, i).count ? SEGMENT_FLAG_WEIGHTED : 0);
            break;
        case SEGMENT_SECTION_STACKS:
            value = slot->stack_id;
            break;
        default:
            value = zigzag((int64_t)(state->births[ordinal] - birth));
            birth = state->births[ordinal++];
        }
        to = put_number(to, &bytes, value);
    }
    return bytes;
}

static size_t put_latest(const struct segment_state *state, uint8_t *to)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < state->latest_count; i++) {
        to = put_number(to, &bytes, state->latest[i].thread_id);
        to = put_number(to, &bytes, state->latest[i].slot);
    }
    return bytes;
}

size_t segment_put(const struct segment_state *state, uint8_t *to)
{
    uint8_t *table = to;
    size_t all_bytes = SEGMENT_SECTION_TABLE_BYTES;
    for (int section = 0; section < SEGMENT_SECTION_COUNT; section++) {
        uint8_t *at = to ? to + all_bytes : NULL;
        size_t bytes = state->definition_bytes;
        if (section == SEGMENT_SECTION_LATEST)
            bytes = put_latest(state, at);
        else if (section != SEGMENT_SECTION_DEFINITIONS)
            bytes = put_column(state, (enum segment_section)section, at);
        else if (at && bytes)
            memcpy(at, state->definitions, bytes);
        if (table)
            put_u32(table + 4 * section, (uint32_t)bytes);
        all_bytes += bytes;
    }
    return all_bytes;
}

/* ---- decoding ---- */

const char *segment_begin(struct segment_payload *payload, const uint8_t *raw, size_t raw_bytes)
{
    const uint8_t *starts[SEGMENT_SECTION_COUNT + 1], *section = raw + SEGMENT_SECTION_TABLE_BYTES, *end = raw + raw_bytes;
    for (int i = 0; i < SEGMENT_SECTION_COUNT; i++) {
        size_t bytes = get_u32(raw + 4 * i);
        if (bytes > (size_t)(end - section))
            return "a section is longer than its block";
        starts[i] = section;
        section += bytes;
    }
    starts[SEGMENT_SECTION_COUNT] = section;
    if (section != end)
        return "bytes follow the last section";
    *payload = (struct segment_payload){
        .definitions = starts[SEGMENT_SECTION_DEFINITIONS], .definitions_end = starts[SEGMENT_SECTION_DEFINITIONS + 1],
        .births = starts[SEGMENT_SECTION_BIRTHS], .births_end = starts[SEGMENT_SECTION_BIRTHS + 1],
        .latest = starts[SEGMENT_SECTION_LATEST], .latest_end = starts[SEGMENT_SECTION_LATEST + 1],
    };
    for (int i = 0; i < 4; i++) {
        payload->columns[i] = starts[SEGMENT_SECTION_GAPS + i];
        payload->column_ends[i] = starts[SEGMENT_SECTION_GAPS + i + 1];
    }
    return NULL;
}

/* A section that is used up stays past its end. */
static uint64_t take(const uint8_t **next, const uint8_t *end)
{
    uint64_t value = 0;
    if (*next < end)
        *next = varint_get(*next, &value);
    else
        *next = end + 1;
    return value;
}

enum { GAP, SIZE, FLAGS, STACK };

static const char *restore_slot(const uint64_t row[4], struct trace_weight weight, uint64_t *next_slot, uint32_t stack_count,
                                const struct segment_target *target, struct trace_level *level)
{
    struct event_model *model = target->model;
    uint64_t sequence = model->next_sequence;
    if (row[SIZE] > TRACE_MAX_SIZE_BYTES || row[FLAGS] > CLASS_FLAGS || row[STACK] > stack_count)
        return "a live block is impossible";
    /* A writer whose slots are sparser than that begins no segment. */
    if (row[GAP] > SEGMENT_MAX_GAPS || *next_slot + row[GAP] > SEGMENT_MAX_GAPS + SEGMENT_MAX_GAP_SHARE * (sequence + 1))
        return "its live blocks' slots are too far apart";
    *next_slot += row[GAP];
    if (live_slots_restore(target->slots, (uint32_t)*next_slot, row[SIZE], (unsigned)row[FLAGS], (uint32_t)row[STACK], (uint32_t)sequence) ||
        weight_table_put(target->weights, (uint32_t)*next_slot, row[SIZE], weight))
        return "it lists more live blocks than there is memory for";
    model_allocated(model, (uint32_t)(*next_slot)++);
    trace_level_change(level, (unsigned)row[FLAGS], weight.bytes, 1);
    return NULL;
}

static const char *check_latest(const struct segment_payload *payload, uint32_t thread_count, const struct live_slots *slots)
{
    struct segment_payload cursor = *payload;
    struct segment_latest latest;
    while (segment_next_latest(&cursor, &latest))
        if (latest.thread_id > thread_count || latest.slot >= slots->used_count || !live_slot_is_live(&slots->slots[latest.slot]))
            return "a thread's latest allocation isn't live";
    return cursor.latest == payload->latest_end ? NULL : "a column ends too early";
}

const char *segment_restore(const struct segment_payload *payload, uint32_t stack_count, uint32_t thread_count,
                            const struct segment_target *target, struct trace_level *ret_level)
{
    struct live_slots *slots = target->slots;
    const uint8_t *next[4];
    uint64_t next_slot = 0, previous = 0, birth_ns;
    const char *problem = NULL;
    memcpy(next, payload->columns, sizeof next);
    *ret_level = (struct trace_level){0};
    live_slots_done(slots);
    weight_table_reset(target->weights);
    event_model_reset(target->model);
    while (!problem && next[GAP] < payload->column_ends[GAP]) {
        uint64_t row[4];
        for (int i = 0; i < 4; i++)
            row[i] = take(&next[i], payload->column_ends[i]);
        struct trace_weight weight = {row[SIZE], 1};
        if (row[FLAGS] & SEGMENT_FLAG_WEIGHTED) {
            weight.count = take(&next[SIZE], payload->column_ends[SIZE]);
            weight.bytes = take(&next[SIZE], payload->column_ends[SIZE]);
            row[FLAGS] ^= SEGMENT_FLAG_WEIGHTED;
        }
        problem = weight.count && weight.count <= TRACE_MAX_SIZE_BYTES && weight.bytes <= TRACE_MAX_SIZE_BYTES
                      ? restore_slot(row, weight, &next_slot, stack_count, target, ret_level)
                      : "a live block counts as something impossible";
    }
    live_slots_relink(slots);
    for (int i = 0; i < 4 && !problem; i++)
        if (next[i] != payload->column_ends[i])
            problem = "a column ends too early or late";
    struct segment_payload births = *payload;
    uint64_t birth_count = 0;
    while (segment_next_birth(&births, &previous, &birth_ns))
        birth_count++;
    if (!problem && (births.births != births.births_end || birth_count != slots->live_count))
        problem = "it says how old another number of blocks is";
    return problem ? problem : check_latest(payload, thread_count, slots);
}

int segment_next_birth(struct segment_payload *payload, uint64_t *previous, uint64_t *ret_time_ns)
{
    if (payload->births >= payload->births_end)
        return 0;
    *previous += (uint64_t)unzigzag(take(&payload->births, payload->births_end));
    *ret_time_ns = (*previous & UINT32_MAX) << SEGMENT_BIRTH_SHIFT;
    return 1;
}

int segment_next_latest(struct segment_payload *payload, struct segment_latest *ret_latest)
{
    if (payload->latest >= payload->latest_end)
        return 0;
    uint64_t thread_id = take(&payload->latest, payload->latest_end), slot = take(&payload->latest, payload->latest_end);
    *ret_latest = (struct segment_latest){thread_id < UINT32_MAX ? (uint32_t)thread_id : UINT32_MAX, slot < SLOT_NONE ? (uint32_t)slot : SLOT_NONE};
    return 1;
}
