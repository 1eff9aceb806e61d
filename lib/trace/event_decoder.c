/* See event_decoder.h. */
#include "event_decoder.h"

#include <stdlib.h>

int event_decoder_init(struct event_decoder *decoder, uint32_t format_version, const struct trace_identity *identity)
{
    *decoder = (struct event_decoder){.released_slot = SLOT_NONE, .is_weighted = (identity->flags & (TRACE_ROTATED | TRACE_WEIGHTED)) != 0};
    weight_table_init(&decoder->weights, identity->sampling_interval_bytes);
    live_slots_init(&decoder->slots);
    decoder->model = event_model_new(format_version == 1 ? MODEL_RING_LENGTH_V1 : MODEL_RING_LENGTH);
    return decoder->model ? 0 : STATUS_NO_MEMORY;
}

void event_decoder_done(struct event_decoder *decoder)
{
    live_slots_done(&decoder->slots);
    weight_table_done(&decoder->weights);
    free(decoder->model);
}

static int corrupt(struct event_decoder *decoder, const char *problem)
{
    decoder->problem = problem;
    return STATUS_CORRUPT;
}

int event_decoder_begin_block(struct event_decoder *decoder, const uint8_t *raw, size_t raw_bytes)
{
    const uint8_t *section = raw + TRACE_SECTION_TABLE_BYTES;
    size_t left = raw_bytes - TRACE_SECTION_TABLE_BYTES;
    for (int i = 0; i < SECTION_COUNT; i++) {
        size_t bytes = get_u32(raw + 4 * i);
        if (bytes > left)
            return corrupt(decoder, "a section is longer than its block");
        decoder->next[i] = section;
        decoder->end[i] = section += bytes;
        left -= bytes;
    }
    if (left)
        return corrupt(decoder, "bytes follow the last section");
    account_begin_block(&decoder->account);
    return 0;
}

/* A number of a column; ok turns 0 where the column is used up. */
HOT_INLINE uint64_t take(struct event_decoder *decoder, enum trace_section section, int *ok)
{
    uint64_t value = 0;
    if (likely(decoder->next[section] < decoder->end[section]))
        decoder->next[section] = varint_get(decoder->next[section], &value);
    else
        *ok = 0;
    *ok &= decoder->next[section] <= decoder->end[section];
    return value;
}

static const char *const column_ends = "a column ends too early";

/* ---- weights ---- */

static void tell_weight(struct trace_event *event, struct trace_weight weight)
{
    event->count = weight.count;
    event->weight_bytes = weight.bytes;
}

static struct trace_weight weigh(const struct event_decoder *decoder, struct trace_event *event, unsigned flags)
{
    struct trace_weight weight = weight_table_weigh(&decoder->weights, decoder->model->thread, event->size_bytes, flags,
                                                    decoder->account.totals.event_count);
    tell_weight(event, weight);
    return weight;
}

COLD static int weigh_allocation(struct event_decoder *decoder, struct trace_event *event)
{
    struct trace_weight weight = weigh(decoder, event, event->flags);
    account_allocate_weighted(&decoder->account, weight, event->flags);
    return weight_table_put(&decoder->weights, event->slot, event->size_bytes, weight);
}

COLD static int weigh_undo(struct event_decoder *decoder, struct trace_event *event)
{
    struct trace_weight weight = weight_table_undo(&decoder->weights, decoder->model->thread, event->size_bytes, event->stack_id, event->flags,
                                                   decoder->account.totals.event_count);
    tell_weight(event, weight);
    account_live(&decoder->account, weight.bytes, event->flags);
    return weight_table_put(&decoder->weights, event->slot, event->size_bytes, weight);
}

COLD static void weigh_copy(struct event_decoder *decoder, struct trace_event *event)
{
    account_copy_weighted(&decoder->account, weigh(decoder, event, 0));
}

/* Without memory a failed realloc gives back something else, which the block's end finds out. */
COLD static void weigh_free(struct event_decoder *decoder, struct trace_event *event)
{
    struct trace_weight weight = weight_table_of(&decoder->weights, event->slot, event->size_bytes);
    tell_weight(event, weight);
    account_free(&decoder->account, weight.bytes, event->block_flags);
    if (decoder->weights.longest_bytes)
        weight_table_freed(&decoder->weights, decoder->model->thread, event->size_bytes, event->stack_id, weight);
}

/* ---- allocations and copies ---- */

HOT_INLINE int apply_block(struct event_decoder *decoder, struct trace_event *event, unsigned class, uint32_t stack_id,
                           uint64_t size_bytes)
{
    event->size_bytes = size_bytes;
    event->stack_id = stack_id;
    model_push(decoder->model, class, stack_id);
    if (unlikely(class == CLASS_COPY)) {
        event->kind = TRACE_COPY;
        event->flags = 0;
        if (unlikely(decoder->is_weighted))
            weigh_copy(decoder, event);
        else
            account_copy(&decoder->account, size_bytes);
        return 0;
    }
    event->kind = TRACE_ALLOCATE;
    event->flags = class & CLASS_FLAGS;
    event->slot = live_slots_take(&decoder->slots, size_bytes, event->flags, stack_id, (uint32_t)decoder->model->next_sequence);
    if (unlikely(event->slot == SLOT_NONE))
        return STATUS_NO_MEMORY;
    model_allocated(decoder->model, event->slot);
    if (unlikely(decoder->is_weighted))
        return weigh_allocation(decoder, event);
    account_allocate(&decoder->account, size_bytes, event->flags);
    return 0;
}

static int decode_block(struct event_decoder *decoder, struct trace_event *event, unsigned op)
{
    struct event_model *model = decoder->model;
    struct model_prediction *prediction = model_predict(model);
    unsigned predicted_class = prediction->key & 0xff;
    uint64_t stack_id = 0;
    int ok = 1;
    switch (op & OP_BLOCK_STACK_MASK) {
    case OP_STACK_PREDICTED:
        if (predicted_class == CLASS_NONE || predicted_class == CLASS_FREE || predicted_class == CLASS_FREE_REALLOC)
            return corrupt(decoder, "a stack was to be predicted where none can be");
        stack_id = prediction->key >> 8;
        break;
    case OP_STACK_NEW:
        stack_id = (uint64_t)model->highest_stack + 1;
        break;
    case OP_STACK_SUCCESSOR:
        stack_id = model_stack(model, model->last_stack)->successor;
        break;
    case OP_STACK_EXPLICIT:
        stack_id = take(decoder, SECTION_STACKS, &ok);
        break;
    }
    if (stack_id > decoder->stack_count)
        return corrupt(decoder, "an undefined stack");
    const struct model_stack *stack = model_stack(model, (uint32_t)stack_id);
    uint64_t size_bytes = op & OP_BLOCK_SIZE ? take(decoder, SECTION_SIZES, &ok) : stack->size_bytes;
    unsigned class = stack->class;
    if (op & OP_BLOCK_CLASS) {
        ok &= decoder->next[SECTION_CLASSES] < decoder->end[SECTION_CLASSES];
        class = *decoder->next[SECTION_CLASSES]++;
    }
    if (!ok)
        return corrupt(decoder, column_ends);
    if (size_bytes > TRACE_MAX_SIZE_BYTES)
        return corrupt(decoder, "a size out of bounds");
    if (class != CLASS_COPY && (class & ~CLASS_FLAGS) != CLASS_ALLOCATE)
        return corrupt(decoder, "an unknown class of event");
    model_learn_block(model, prediction, class, (uint32_t)stack_id, size_bytes);
    return apply_block(decoder, event, class, (uint32_t)stack_id, size_bytes);
}

/* ---- deallocations ---- */

HOT_INLINE void apply_free(struct event_decoder *decoder, struct trace_event *event, unsigned class, uint32_t slot)
{
    const struct live_slot *freed = &decoder->slots.slots[slot];
    event->kind = TRACE_FREE;
    event->flags = class == CLASS_FREE_REALLOC ? TRACE_REALLOC : 0;
    event->block_flags = (uint8_t)live_slot_flags(freed);
    event->slot = slot;
    event->stack_id = freed->stack_id;
    event->size_bytes = live_slots_size(&decoder->slots, slot);
    model_freed(decoder->model, freed->sequence);
    model_push(decoder->model, CLASS_FREE, freed->stack_id);
    if (unlikely(decoder->is_weighted))
        weigh_free(decoder, event);
    else
        account_free(&decoder->account, event->size_bytes, event->block_flags);
    decoder->released_slot = slot;
}

/* The live slot of an allocation within the ring's reach, or SLOT_NONE. */
HOT_INLINE uint32_t slot_of_sequence(const struct event_decoder *decoder, uint32_t sequence)
{
    if (unlikely((uint32_t)decoder->model->next_sequence - sequence - 1 >= decoder->model->ring_length))
        return SLOT_NONE;
    uint32_t slot = decoder->model->ring[sequence & (decoder->model->ring_length - 1)];
    if (unlikely(slot >= decoder->slots.used_count))
        return SLOT_NONE;
    const struct live_slot *found = &decoder->slots.slots[slot];
    return likely(live_slot_is_live(found) && found->sequence == sequence) ? slot : SLOT_NONE;
}

HOT_INLINE uint32_t sequence_of_prediction(const struct event_model *model, const struct model_prediction *prediction,
                                           int by_stride)
{
    return by_stride ? model->last_freed + (uint32_t)(prediction->value >> 32)
                     : (uint32_t)model->next_sequence - (uint32_t)prediction->value;
}

static int decode_free(struct event_decoder *decoder, struct trace_event *event, unsigned op)
{
    struct event_model *model = decoder->model;
    struct model_prediction *prediction = model_predict(model);
    unsigned class = op & OP_FREE_REALLOC ? CLASS_FREE_REALLOC : CLASS_FREE;
    enum op_free_mode mode = (op & ~OP_FREE) >> OP_FREE_MODE_SHIFT;
    uint32_t slot = SLOT_NONE;
    int ok = 1, trust_stride = 0;
    switch (mode) {
    case OP_FREE_DISTANCE:
        slot = slot_of_sequence(decoder, (uint32_t)model->next_sequence - 1 - (uint32_t)take(decoder, SECTION_DISTANCES, &ok));
        break;
    case OP_FREE_STRIDE:
        slot = slot_of_sequence(decoder, model->last_freed + model->last_stride);
        trust_stride = 1;
        break;
    case OP_FREE_ALTERNATE:
        if ((prediction->key & 0xff) != class)
            return corrupt(decoder, "a deallocation was to be predicted where none can be");
        trust_stride = !(prediction->key >> 8);
        slot = slot_of_sequence(decoder, sequence_of_prediction(model, prediction, trust_stride));
        break;
    case OP_FREE_SLOT:
        slot = model->last_slot + (uint32_t)unzigzag(take(decoder, SECTION_SLOTS, &ok));
        model->last_slot = slot;
        break;
    }
    if (!ok)
        return corrupt(decoder, column_ends);
    if (slot >= decoder->slots.used_count || !live_slot_is_live(&decoder->slots.slots[slot]))
        return corrupt(decoder, "a deallocation of nothing");
    uint32_t sequence = decoder->slots.slots[slot].sequence;
    model_learn_free(prediction, class, trust_stride, model_distance(model, slot, sequence), sequence - model->last_freed);
    apply_free(decoder, event, class, slot);
    return 0;
}

HOT_INLINE int decode_predicted(struct event_decoder *decoder, struct trace_event *event)
{
    const struct model_prediction *prediction = model_predict(decoder->model);
    unsigned class = prediction->key & 0xff;
    if (class >= CLASS_ALLOCATE || class == CLASS_COPY)
        return apply_block(decoder, event, class, (uint32_t)(prediction->key >> 8), prediction->value);
    uint32_t slot = SLOT_NONE;
    if (likely(class != CLASS_NONE))
        slot = slot_of_sequence(decoder, sequence_of_prediction(decoder->model, prediction, prediction->key >> 8 & 1));
    if (unlikely(slot == SLOT_NONE))
        return corrupt(decoder, "an event was to be predicted where none can be");
    apply_free(decoder, event, class, slot);
    return 0;
}

/* ---- the rest ---- */

static int decode_shrink(struct event_decoder *decoder, struct trace_event *event)
{
    int ok = 1;
    uint64_t slot = take(decoder, SECTION_MISC, &ok), size_bytes = take(decoder, SECTION_MISC, &ok);
    if (!ok)
        return corrupt(decoder, column_ends);
    if (slot >= decoder->slots.used_count || !live_slot_is_live(&decoder->slots.slots[slot]))
        return corrupt(decoder, "a mapping that isn't there shrinks");
    const struct live_slot *shrunk = &decoder->slots.slots[slot];
    if (size_bytes > live_slots_size(&decoder->slots, (uint32_t)slot))
        return corrupt(decoder, "a mapping shrinks by more than it is");
    account_free(&decoder->account, size_bytes, live_slot_flags(shrunk));
    live_slots_shrink(&decoder->slots, (uint32_t)slot, size_bytes);
    event->kind = TRACE_SHRINK;
    event->block_flags = (uint8_t)live_slot_flags(shrunk);
    event->stack_id = shrunk->stack_id;
    event->slot = (uint32_t)slot;
    event->size_bytes = size_bytes;
    return 0;
}

static int decode_undo_free(struct event_decoder *decoder, struct trace_event *event)
{
    int ok = 1;
    uint64_t stack_id = take(decoder, SECTION_MISC, &ok), size_bytes = take(decoder, SECTION_MISC, &ok);
    uint64_t flags = take(decoder, SECTION_MISC, &ok);
    if (!ok)
        return corrupt(decoder, column_ends);
    if (stack_id > decoder->stack_count || size_bytes > TRACE_MAX_SIZE_BYTES || flags > CLASS_FLAGS)
        return corrupt(decoder, "a deallocation is undone to something impossible");
    event->kind = TRACE_UNDO_FREE;
    event->flags = (uint8_t)flags;
    event->stack_id = (uint32_t)stack_id;
    event->size_bytes = size_bytes;
    event->slot = live_slots_take(&decoder->slots, size_bytes, event->flags, event->stack_id, (uint32_t)decoder->model->next_sequence);
    if (event->slot == SLOT_NONE)
        return STATUS_NO_MEMORY;
    model_allocated(decoder->model, event->slot);
    if (decoder->is_weighted)
        return weigh_undo(decoder, event);
    account_live(&decoder->account, size_bytes, event->flags);
    return 0;
}

static int decode_time(struct event_decoder *decoder, struct trace_event *event)
{
    int ok = 1;
    uint64_t later_ns = take(decoder, SECTION_TIMES, &ok);
    if (!ok)
        return corrupt(decoder, column_ends);
    if (decoder->account.time_ns + later_ns < later_ns)
        return corrupt(decoder, "time overflows");
    event->kind = TRACE_TIME;
    event->time_ns = decoder->account.time_ns += later_ns;
    return 0;
}

static int decode_other(struct event_decoder *decoder, struct trace_event *event, unsigned op)
{
    struct trace_totals *totals = &decoder->account.totals;
    int ok = 1;
    switch (op) {
    case OP_SHRINK:
        return decode_shrink(decoder, event);
    case OP_UNDO_FREE:
        return decode_undo_free(decoder, event);
    case OP_TIME:
        return decode_time(decoder, event);
    case OP_THREAD: {
        uint64_t thread_id = take(decoder, SECTION_MISC, &ok);
        if (thread_id > decoder->thread_count)
            return corrupt(decoder, "an undefined thread");
        event->kind = TRACE_THREAD;
        event->thread_id = (uint32_t)thread_id;
        model_switch_thread(decoder->model, event->thread_id);
        break;
    }
    case OP_RSS:
        event->kind = TRACE_RSS;
        event->size_bytes = take(decoder, SECTION_MISC, &ok);
        account_rss(&decoder->account, event->size_bytes);
        break;
    case OP_LOST:
        event->kind = TRACE_LOST;
        event->size_bytes = totals->lost_events = take(decoder, SECTION_MISC, &ok);
        break;
    case OP_SMALL_COPIES:
        event->kind = TRACE_SMALL_COPIES;
        event->count = take(decoder, SECTION_MISC, &ok);
        event->size_bytes = take(decoder, SECTION_MISC, &ok);
        account_small_copies(&decoder->account, event->count, event->size_bytes);
        break;
    case OP_UNKNOWN_FREES:
        event->kind = TRACE_UNKNOWN_FREES;
        event->count = totals->unknown_frees = take(decoder, SECTION_MISC, &ok);
        break;
    case OP_SAMPLING:
        event->kind = TRACE_SAMPLING;
        event->size_bytes = take(decoder, SECTION_MISC, &ok);
        if (event->size_bytes > TRACE_MAX_SIZE_BYTES)
            return corrupt(decoder, "a sampling interval out of bounds");
        if (decoder->is_weighted && weight_table_set_interval(&decoder->weights, decoder->model->thread, event->size_bytes))
            return STATUS_NO_MEMORY;
        break;
    default:
        return corrupt(decoder, "an unknown op");
    }
    return ok ? 0 : corrupt(decoder, column_ends);
}

static int decode_end(struct event_decoder *decoder)
{
    for (int section = SECTION_OPS; section < SECTION_COUNT; section++)
        if (decoder->next[section] != decoder->end[section])
            return corrupt(decoder, "a column is longer than its events");
    return STATUS_END;
}

HOT_INLINE int decode_next(struct event_decoder *decoder, struct trace_event *event)
{
    if (decoder->released_slot != SLOT_NONE) {
        live_slots_release(&decoder->slots, decoder->released_slot);
        decoder->released_slot = SLOT_NONE;
    }
    if (likely(decoder->run)) {
        decoder->run--;
        return decode_predicted(decoder, event);
    }
    if (unlikely(decoder->next[SECTION_OPS] == decoder->end[SECTION_OPS]))
        return decode_end(decoder);
    unsigned op = *decoder->next[SECTION_OPS]++;
    if (op >= OP_RUN) {
        decoder->run = op - OP_RUN;
        return decode_predicted(decoder, event);
    }
    if (op < OP_FREE)
        return decode_block(decoder, event, op);
    if (op < OP_SHRINK)
        return op < OP_FREE + 8 ? decode_free(decoder, event, op) : corrupt(decoder, "an unknown op");
    return decode_other(decoder, event, op);
}

int event_decoder_next(struct event_decoder *decoder, struct trace_event *event)
{
    return decode_next(decoder, event);
}

size_t event_decoder_next_many(struct event_decoder *decoder, struct trace_event *events, size_t capacity, int *ret_status)
{
    size_t count = 0;
    int status = 0;
    while (count < capacity && likely(!(status = decode_next(decoder, &events[count]))))
        count++;
    *ret_status = status;
    return count;
}

_Static_assert(OP_FREE_SLOT << OP_FREE_MODE_SHIFT < 8, "deallocations take eight ops");
