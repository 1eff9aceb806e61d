/* Segment blocks, read (trace_reader.h): where one stands, the live slots and the model become what the block says, whatever was before.
 * What was before, if it was read, must have led to the same heap level. One thread; allocates the live slots. */
#include "trace_reader_internal.h"

/* Definitions are decoded twice: their number limits what the live blocks may refer to. */
static const char *count_definitions(const struct trace_reader *reader, struct definition_counts *ret_counts)
{
    const uint8_t *next = reader->segment.definitions;
    struct trace_definition definition;
    const char *problem = NULL;
    *ret_counts = reader->definitions;
    while (definition_decode(ret_counts, &next, reader->segment.definitions_end, &definition, &problem) == 0)
        ;
    return problem;
}

static int is_same_level(const struct trace_level *a, const struct trace_level *b)
{
    return a->outside_bytes == b->outside_bytes && a->arena_bytes == b->arena_bytes && a->object_bytes == b->object_bytes;
}

const char *trace_reader_begin_segment(struct trace_reader *reader)
{
    struct event_decoder *events = &reader->events;
    struct definition_counts counts;
    struct trace_level level;
    const char *problem = segment_begin(&reader->segment, reader->raw, reader->block.raw_bytes);
    if (!problem)
        problem = count_definitions(reader, &counts);
    if (!problem)
        problem = segment_restore(&reader->segment, counts.stacks, counts.threads,
                                  &(struct segment_target){&events->slots, &events->weights, events->model}, &level);
    if (!problem && (!is_same_level(&level, &events->account.level) || !is_same_level(&level, &reader->block.end_level)))
        problem = "what is live adds up to another heap level than what was before";
    events->run = 0;
    events->released_slot = SLOT_NONE;
    events->account.time_ns = reader->block.end_time_ns;
    reader->next_definition = reader->segment.definitions;
    reader->definitions_end = reader->segment.definitions_end;
    reader->birth_slot = 0;
    reader->previous_birth = 0;
    return problem;
}

int trace_reader_is_segment(const struct trace_reader *reader)
{
    return reader->in_block && reader->block.type == TRACE_BLOCK_SEGMENT;
}

struct trace_weight trace_reader_weight(const struct trace_reader *reader, uint32_t slot)
{
    return weight_table_of(&reader->events.weights, slot, live_slots_size(&reader->events.slots, slot));
}

int trace_reader_next_birth(struct trace_reader *reader, uint32_t *ret_slot, uint64_t *ret_time_ns)
{
    const struct live_slots *slots = &reader->events.slots;
    if (!trace_reader_is_segment(reader) || !segment_next_birth(&reader->segment, &reader->previous_birth, ret_time_ns))
        return 0;
    while (!live_slot_is_live(&slots->slots[reader->birth_slot]))
        reader->birth_slot++;
    *ret_slot = reader->birth_slot++;
    return 1;
}

int trace_reader_next_latest(struct trace_reader *reader, uint32_t *ret_thread_id, uint32_t *ret_slot)
{
    struct segment_latest latest;
    if (!trace_reader_is_segment(reader) || !segment_next_latest(&reader->segment, &latest))
        return 0;
    *ret_thread_id = latest.thread_id;
    *ret_slot = latest.slot;
    return 1;
}
