/* Events of a rotated trace: each is encoded and added up (trace_writer_rotation.h). What trace_writer_tally.c does with slots' sequence
 * numbers is done otherwise here, as the encoder needs them:
 *   last   a thread knows its latest allocation by slot and sequence; the flag SLOT_LAST in the slot tells a deallocation that it was one
 * One thread; allocates when the live set grows. */
#include "trace_writer_rotation.h"

#include <errno.h>

static void note_level(struct trace_writer *writer)
{
    const struct trace_totals *totals = &writer->account.totals;
    struct tally *tally = writer->tally;
    if (totals->live_bytes > tally->moment_peak_bytes)
        tally->moment_peak_bytes = totals->live_bytes;
    tally->mark += totals->peak_event == totals->event_count;
    if (totals->peak_event == totals->event_count)
        writer->peak_variance = writer->live_variance;
}

/* ---- what samples count as ---- */

static uint64_t interval_now(const struct trace_writer *writer)
{
    return weight_table_interval(&writer->weights, writer->tally->thread_id);
}

static struct trace_weight weigh(const struct trace_writer *writer, uint64_t size_bytes, unsigned flags)
{
    if (likely(!writer->weights.longest_bytes))
        return (struct trace_weight){size_bytes, 1};
    return weight_table_weigh(&writer->weights, writer->tally->thread_id, size_bytes, flags, writer->account.totals.event_count);
}

static struct count_error *error_of(struct trace_writer *writer, uint32_t stack_id)
{
    return tally_error_of(writer->tally, tally_place(writer->tally, stack_id));
}

/* The block becomes live. */
static void keep_weight(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes, uint32_t stack_id, struct trace_weight weight, int is_counted)
{
    if (likely(!writer->weights.longest_bytes))
        return;
    if (weight_table_put(&writer->weights, slot, size_bytes, weight) && !writer->failed)
        writer->failed = ENOMEM;
    double variance = trace_weight_variance(size_bytes, weight), count_variance = trace_weight_count_variance(size_bytes, weight);
    writer->live_variance += variance;
    writer->allocated_variance += is_counted ? variance : 0;
    if (count_variance > 0)
        count_error_add_block(error_of(writer, stack_id), count_variance, is_counted);
}

/* The slot may be another block's by now, or nobody's. */
static void retire_last(struct trace_writer *writer, const struct tally_thread *thread)
{
    struct live_slot *slot = thread->last_slot < writer->slots.used_count ? &writer->slots.slots[thread->last_slot] : NULL;
    if (slot && live_slot_is_live(slot) && slot->sequence == thread->last_age)
        live_slot_set_flags(slot, live_slot_flags(slot) & ~SLOT_LAST);
}

static struct tally_use *use_of(struct trace_writer *writer, uint32_t stack_id)
{
    return tally_touch(writer->tally, tally_place(writer->tally, stack_id));
}

/* It is freed. */
static void forget_weight(struct trace_writer *writer, uint32_t stack_id, uint64_t size_bytes, struct trace_weight weight)
{
    if (likely(!writer->weights.longest_bytes))
        return;
    double count_variance = trace_weight_count_variance(size_bytes, weight);
    writer->live_variance -= trace_weight_variance(size_bytes, weight);
    if (count_variance > 0)
        error_of(writer, stack_id)->live -= count_variance;
    if (weight_table_freed(&writer->weights, writer->tally->thread_id, size_bytes, stack_id, weight) && !writer->failed)
        writer->failed = ENOMEM;
}

/* The block becomes its thread's latest allocation. */
static void set_last(struct trace_writer *writer, uint32_t slot, uint32_t sequence)
{
    struct tally_thread *thread = &writer->tally->threads[writer->tally->thread_id];
    retire_last(writer, thread);
    thread->last_slot = slot;
    thread->last_age = sequence;
    thread->allocations++;
}

uint32_t trace_writer_rotation_allocate(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    int is_listed = rotation_begin_event(writer), is_counted = !(flags & (TRACE_ARENA | TRACE_INHERITED));
    int is_last = is_counted && !interval_now(writer); /* a sample doesn't tell what comes in between */
    struct event_model *model = writer->encoder.model;
    uint32_t sequence = (uint32_t)model->next_sequence;
    uint32_t slot = live_slots_take(&writer->slots, size_bytes, flags | (is_last ? SLOT_LAST : 0), stack_id, sequence);
    if (unlikely(slot == SLOT_NONE))
        return SLOT_NONE;
    struct trace_weight weight = weigh(writer, size_bytes, flags);
    keep_weight(writer, slot, size_bytes, stack_id, weight, is_counted);
    account_allocate_weighted(&writer->account, weight, flags);
    if (!(flags & TRACE_ARENA)) {
        struct tally_use *use = use_of(writer, stack_id);
        use->live_bytes += weight.bytes;
        use->live_allocations += weight.count;
        if (is_counted) {
            use->allocated_bytes += weight.bytes;
            use->allocations += weight.count;
        }
        if (is_last)
            set_last(writer, slot, sequence);
    }
    note_level(writer);
    if (likely(is_listed))
        event_encoder_allocate(&writer->encoder, slot, flags, stack_id, size_bytes);
    else
        model_allocated_unread(model, slot);
    return slot;
}

/* What a realloc frees, in case that it fails. */
static void note_freed(struct tally *tally, uint32_t slot, const struct live_slot *freed, uint64_t size_bytes)
{
    struct tally_thread *thread = &tally->threads[tally->thread_id];
    int is_own = thread->last_slot == slot && thread->last_age == freed->sequence;
    thread->freed_valid = 1;
    thread->freed_bytes = size_bytes;
    thread->freed_stack = freed->stack_id;
    thread->freed_temporary = (live_slot_flags(freed) & SLOT_LAST) != 0;
    thread->freed_owner = is_own ? tally->thread_id : UINT32_MAX;
    thread->freed_owner_allocations = thread->allocations;
}

void trace_writer_rotation_free(struct trace_writer *writer, uint32_t slot, unsigned free_flags)
{
    int is_listed = rotation_begin_event(writer);
    const struct live_slot *freed = &writer->slots.slots[slot];
    uint64_t size_bytes = live_slots_size(&writer->slots, slot);
    unsigned flags = live_slot_flags(freed);
    struct trace_weight weight = weight_table_of(&writer->weights, slot, size_bytes);
    forget_weight(writer, freed->stack_id, size_bytes, weight);
    account_free(&writer->account, weight.bytes, flags);
    if (!(flags & TRACE_ARENA)) {
        struct tally_use *use = use_of(writer, freed->stack_id);
        use->live_bytes -= weight.bytes;
        use->live_allocations -= weight.count;
        use->temporary_allocations += (flags & SLOT_LAST) != 0;
    }
    if (free_flags & TRACE_REALLOC)
        note_freed(writer->tally, slot, freed, size_bytes);
    if (likely(is_listed))
        event_encoder_free(&writer->encoder, slot, freed, free_flags & TRACE_REALLOC ? CLASS_FREE_REALLOC : CLASS_FREE);
    live_slots_release(&writer->slots, slot);
}

uint32_t trace_writer_rotation_undo_free(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    int is_listed = rotation_begin_event(writer);
    struct event_model *model = writer->encoder.model;
    struct tally_thread *thread = &writer->tally->threads[writer->tally->thread_id];
    int was_temporary = thread->freed_valid && thread->freed_bytes == size_bytes && thread->freed_stack == stack_id && thread->freed_temporary;
    int is_last = was_temporary && thread->freed_owner == writer->tally->thread_id && thread->freed_owner_allocations == thread->allocations;
    uint32_t sequence = (uint32_t)model->next_sequence;
    uint32_t slot = live_slots_take(&writer->slots, size_bytes, flags | (is_last ? SLOT_LAST : 0), stack_id, sequence);
    if (slot == SLOT_NONE)
        return SLOT_NONE;
    struct trace_weight weight = {size_bytes, 1};
    if (writer->weights.longest_bytes)
        weight = weight_table_undo(&writer->weights, writer->tally->thread_id, size_bytes, stack_id, flags, writer->account.totals.event_count);
    thread->freed_valid = 0;
    model_allocated_unread(model, slot);
    keep_weight(writer, slot, size_bytes, stack_id, weight, 0);
    account_live(&writer->account, weight.bytes, flags);
    if (!(flags & TRACE_ARENA)) {
        struct tally_use *use = use_of(writer, stack_id);
        use->live_bytes += weight.bytes;
        use->live_allocations += weight.count;
        use->temporary_allocations -= (unsigned)was_temporary;
    }
    if (is_last) {
        thread->last_slot = slot;
        thread->last_age = sequence;
    }
    note_level(writer);
    if (is_listed) {
        event_encoder_other(&writer->encoder, OP_UNDO_FREE);
        event_encoder_put(&writer->encoder, SECTION_MISC, stack_id);
        event_encoder_put(&writer->encoder, SECTION_MISC, size_bytes);
        event_encoder_put(&writer->encoder, SECTION_MISC, flags);
    }
    return slot;
}

void trace_writer_rotation_shrink(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes)
{
    int is_listed = rotation_begin_event(writer);
    const struct live_slot *shrunk = &writer->slots.slots[slot];
    account_free(&writer->account, size_bytes, live_slot_flags(shrunk));
    live_slots_shrink(&writer->slots, slot, size_bytes);
    if (!(live_slot_flags(shrunk) & TRACE_ARENA))
        use_of(writer, shrunk->stack_id)->live_bytes -= size_bytes;
    if (is_listed) {
        event_encoder_other(&writer->encoder, OP_SHRINK);
        event_encoder_put(&writer->encoder, SECTION_MISC, slot);
        event_encoder_put(&writer->encoder, SECTION_MISC, size_bytes);
    }
}

static void add_copy_error(struct trace_writer *writer, uint32_t place, uint64_t size_bytes, struct trace_weight weight)
{
    double variance = trace_weight_count_variance(size_bytes, weight);
    if (variance > 0)
        count_error_add_copy(tally_error_of(writer->tally, place), variance);
}

void trace_writer_rotation_copy(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id)
{
    int is_listed = rotation_begin_event(writer);
    uint32_t place = tally_place(writer->tally, stack_id);
    struct trace_weight weight = weigh(writer, size_bytes, 0);
    tally_touch(writer->tally, place);
    writer->tally->copies[place].copied_bytes += weight.bytes;
    writer->tally->copies[place].copies += weight.count;
    if (unlikely(writer->weights.longest_bytes))
        add_copy_error(writer, place, size_bytes, weight);
    account_copy_weighted(&writer->account, weight);
    if (likely(is_listed))
        event_encoder_block(&writer->encoder, CLASS_COPY, stack_id, size_bytes);
}

void trace_writer_rotation_time(struct trace_writer *writer, uint64_t time_ns)
{
    if (rotation_begin_event(writer)) {
        event_encoder_other(&writer->encoder, OP_TIME);
        event_encoder_put(&writer->encoder, SECTION_TIMES, time_ns - writer->account.time_ns);
    }
    tally_time(writer->tally, time_ns, writer->account.totals.live_bytes);
    writer->account.time_ns = time_ns;
    rotation_time(writer);
}

void trace_writer_rotation_thread(struct trace_writer *writer, uint32_t thread_id)
{
    if (likely(rotation_begin_event(writer))) {
        model_switch_thread(writer->encoder.model, thread_id);
        event_encoder_other(&writer->encoder, OP_THREAD);
        event_encoder_put(&writer->encoder, SECTION_MISC, thread_id);
    }
    writer->tally->thread_id = thread_id;
}

void trace_writer_rotation_sampling(struct trace_writer *writer, uint64_t interval_bytes)
{
    struct tally_thread *thread = &writer->tally->threads[writer->tally->thread_id];
    if (rotation_begin_event(writer)) {
        event_encoder_other(&writer->encoder, OP_SAMPLING);
        event_encoder_put(&writer->encoder, SECTION_MISC, interval_bytes);
    }
    if (weight_table_set_interval(&writer->weights, writer->tally->thread_id, interval_bytes) && !writer->failed)
        writer->failed = ENOMEM;
    if (!interval_bytes)
        return;
    retire_last(writer, thread);
    thread->last_slot = SLOT_NONE;
}

void trace_writer_rotation_figures(struct trace_writer *writer, unsigned op, uint64_t first, uint64_t second)
{
    if (!rotation_begin_event(writer))
        return;
    event_encoder_other(&writer->encoder, op);
    event_encoder_put(&writer->encoder, SECTION_MISC, first);
    if (op == OP_SMALL_COPIES)
        event_encoder_put(&writer->encoder, SECTION_MISC, second);
}
