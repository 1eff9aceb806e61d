/* Follows every block from the window of its allocation to that of its deallocation: see range_report.h; range_rows.c adds up.
 *
 * Of a sample, blocks and copies count as what they stand for, by the same numbers as in the replay. Of a rotated trace, which begins with sums,
 * the pass begins where events are listed, with the blocks that are live then; of one that ends with sums, it ends where they begin. */
#include "range_state.h"

#define BATCH 256

/* The last window stays open until the end. */
static int pass_time(struct ranges *ranges, uint64_t time_ns)
{
    int status = STATUS_OK;
    while (!status && ranges->window < ranges->report->window_count - 1 && time_ns >= ranges->request->end_times_ns[ranges->window])
        status = range_close_window(ranges);
    return status;
}

static int room_for(struct ranges *ranges, uint32_t slot)
{
    size_t before = ranges->thread_capacity;
    if (!ARRAY_EXTEND(ranges->notes, ranges->note_capacity, (size_t)slot + 1) ||
        !ARRAY_RESERVE(ranges->threads, ranges->thread_capacity, (size_t)ranges->thread_id + 1))
        return 0;
    for (size_t i = before; i < ranges->thread_capacity; i++)
        ranges->threads[i].last_slot = SLOT_NONE;
    return 1;
}

/* ---- what events count as ---- */

/* Of an allocation, a copy, or a block that is live again. `flags`: those of a block. */
static struct trace_weight weigh(struct ranges *ranges, const struct trace_event *event, unsigned flags)
{
    uint64_t number = ranges->event_count++;
    if (likely(!ranges->is_sampled))
        return (struct trace_weight){event->size_bytes, 1};
    if (ranges->is_weighted)
        return (struct trace_weight){event->weight_bytes, event->count};
    if (event->kind == TRACE_UNDO_FREE)
        return weight_table_undo(&ranges->weights, ranges->thread_id, event->size_bytes, event->stack_id, flags, number);
    return weight_table_weigh(&ranges->weights, ranges->thread_id, event->size_bytes, flags, number);
}

static int weigh_block(struct ranges *ranges, const struct trace_event *event, struct trace_weight *ret_weight)
{
    *ret_weight = weigh(ranges, event, event->flags);
    return ranges->is_sampled && !ranges->is_weighted ? weight_table_put(&ranges->weights, event->slot, event->size_bytes, *ret_weight) : STATUS_OK;
}

static int weigh_free(struct ranges *ranges, const struct trace_event *event, struct trace_weight *ret_weight)
{
    ranges->event_count++;
    *ret_weight = (struct trace_weight){event->size_bytes, 1};
    if (likely(!ranges->is_sampled))
        return STATUS_OK;
    if (ranges->is_weighted) {
        *ret_weight = (struct trace_weight){event->weight_bytes, event->count};
        return STATUS_OK;
    }
    *ret_weight = weight_table_of(&ranges->weights, event->slot, event->size_bytes);
    return weight_table_freed(&ranges->weights, ranges->thread_id, event->size_bytes, event->stack_id, *ret_weight);
}

/* Of a sample, nobody knows a thread's latest allocation. */
static int knows_latest(const struct ranges *ranges)
{
    return !ranges->is_sampled || !weight_table_interval(&ranges->weights, ranges->thread_id);
}

static int on_sampling(struct ranges *ranges, const struct trace_event *event)
{
    ranges->is_sampled |= event->size_bytes != 0;
    if (!room_for(ranges, 0))
        return STATUS_NO_MEMORY;
    if (event->size_bytes)
        ranges->threads[ranges->thread_id].last_slot = SLOT_NONE;
    return weight_table_set_interval(&ranges->weights, ranges->thread_id, event->size_bytes);
}

/* ---- events ---- */

static int make_live(struct ranges *ranges, const struct trace_event *event, struct trace_weight weight)
{
    uint32_t use = range_find_use(ranges, event->stack_id);
    if (use == RANGE_NO_USE || !room_for(ranges, event->slot))
        return STATUS_NO_MEMORY;
    int status = range_change_level(ranges, use, (int64_t)weight.bytes, (int64_t)weight.count);
    ranges->notes[event->slot] = (struct block_note){use, (int16_t)(event->flags & TRACE_INHERITED ? RANGE_BEFORE : ranges->window)};
    if (event->flags & TRACE_INHERITED)
        return status;
    ranges->states[use].flow.allocated_bytes += weight.bytes;
    ranges->states[use].flow.allocations += weight.count;
    if (knows_latest(ranges))
        ranges->threads[ranges->thread_id].last_slot = event->slot;
    return status;
}

static int on_allocate(struct ranges *ranges, const struct trace_event *event)
{
    struct trace_weight weight;
    int status = weigh_block(ranges, event, &weight);
    trace_level_change(&ranges->level, event->flags, weight.bytes, 1);
    if (!status && !(event->flags & TRACE_ARENA))
        status = make_live(ranges, event, weight);
    range_note_level(ranges);
    return status;
}

static int take_from(struct ranges *ranges, const struct block_note *note, int64_t bytes, int64_t count)
{
    int status = range_change_level(ranges, note->use, -bytes, -count);
    if (!status && note->birth < ranges->window)
        status = range_count_death(ranges, note->use, note->birth, bytes, count);
    return status;
}

static int on_free(struct ranges *ranges, const struct trace_event *event)
{
    struct trace_weight weight;
    int status = weigh_free(ranges, event, &weight);
    trace_level_change(&ranges->level, event->block_flags, weight.bytes, -1);
    if (status || event->block_flags & TRACE_ARENA)
        return status;
    if (!room_for(ranges, event->slot))
        return STATUS_NO_MEMORY;
    const struct block_note note = ranges->notes[event->slot];
    uint32_t owner = ranges->report->uses[note.use].thread_id;
    int is_temporary = ranges->threads[owner].last_slot == event->slot;
    status = take_from(ranges, &note, (int64_t)weight.bytes, (int64_t)weight.count);
    if (is_temporary) {
        ranges->threads[owner].last_slot = SLOT_NONE;
        ranges->states[note.use].flow.temporary_allocations++;
    }
    ranges->threads[ranges->thread_id].freed = (struct range_freed){owner, note.use, note.birth, is_temporary, 1};
    return status;
}

/* The block that the thread freed last is live again, as if nothing had happened to it. */
static int on_undo_free(struct ranges *ranges, const struct trace_event *event)
{
    struct trace_weight weight;
    int status = weigh_block(ranges, event, &weight);
    trace_level_change(&ranges->level, event->flags, weight.bytes, 1);
    if (status || event->flags & TRACE_ARENA)
        return status;
    if (!room_for(ranges, event->slot))
        return STATUS_NO_MEMORY;
    struct range_freed *freed = &ranges->threads[ranges->thread_id].freed;
    struct block_note note = {freed->use, freed->birth};
    if (!freed->valid)
        note = (struct block_note){range_find_use(ranges, event->stack_id), (int16_t)ranges->window};
    if (note.use == RANGE_NO_USE)
        return STATUS_NO_MEMORY;
    ranges->notes[event->slot] = note;
    status = take_from(ranges, &note, -(int64_t)weight.bytes, -(int64_t)weight.count);
    if (freed->valid && freed->was_temporary) {
        ranges->states[note.use].flow.temporary_allocations--;
        if (ranges->threads[freed->owner].last_slot == SLOT_NONE)
            ranges->threads[freed->owner].last_slot = event->slot;
    }
    freed->valid = 0;
    range_note_level(ranges);
    return status;
}

/* Only mappings shrink, which are never sampled. */
static int on_shrink(struct ranges *ranges, const struct trace_event *event)
{
    ranges->event_count++;
    trace_level_change(&ranges->level, event->block_flags, event->size_bytes, -1);
    return event->block_flags & TRACE_ARENA ? STATUS_OK : take_from(ranges, &ranges->notes[event->slot], (int64_t)event->size_bytes, 0);
}

static int on_copy(struct ranges *ranges, const struct trace_event *event)
{
    uint32_t use = range_find_use(ranges, event->stack_id);
    struct trace_weight weight = weigh(ranges, event, 0);
    if (use == RANGE_NO_USE)
        return STATUS_NO_MEMORY;
    ranges->states[use].flow.copied_bytes += weight.bytes;
    ranges->states[use].flow.copies += weight.count;
    return range_list_use(ranges, use);
}

static int apply(struct ranges *ranges, const struct trace_event *event)
{
    switch ((enum trace_event_kind)event->kind) {
    case TRACE_ALLOCATE:
        return on_allocate(ranges, event);
    case TRACE_FREE:
        return on_free(ranges, event);
    case TRACE_COPY:
        return on_copy(ranges, event);
    case TRACE_SHRINK:
        return on_shrink(ranges, event);
    case TRACE_UNDO_FREE:
        return on_undo_free(ranges, event);
    case TRACE_TIME:
        return pass_time(ranges, event->time_ns);
    case TRACE_THREAD:
        ranges->thread_id = event->thread_id;
        return STATUS_OK;
    case TRACE_SAMPLING:
        return on_sampling(ranges, event);
    case TRACE_SMALL_COPIES:
        ranges->small_copied_bytes = event->size_bytes;
        ranges->small_copies = event->count;
        return STATUS_OK;
    default:
        return STATUS_OK;
    }
}

/* ---- where the list of events begins ---- */

static int take_live_block(struct ranges *ranges, const struct trace_reader *reader, uint32_t slot)
{
    const struct trace_weight weight = trace_reader_weight(reader, slot);
    uint32_t use = range_find_use(ranges, ranges->slots->slots[slot].stack_id);
    if (use == RANGE_NO_USE || !room_for(ranges, slot))
        return STATUS_NO_MEMORY;
    ranges->notes[slot] = (struct block_note){use, RANGE_BEFORE};
    return range_change_level(ranges, use, (int64_t)weight.bytes, (int64_t)weight.count);
}

/* Whose block it is, is known of those alone that are their threads' latest. */
static int take_latest(struct ranges *ranges, struct trace_reader *reader)
{
    uint32_t slot;
    while (trace_reader_next_latest(reader, &ranges->thread_id, &slot)) {
        const struct trace_weight weight = trace_reader_weight(reader, slot);
        if (!room_for(ranges, slot) || range_change_level(ranges, ranges->notes[slot].use, -(int64_t)weight.bytes, -(int64_t)weight.count) ||
            take_live_block(ranges, reader, slot))
            return STATUS_NO_MEMORY;
        ranges->threads[ranges->thread_id].last_slot = slot;
    }
    ranges->thread_id = 0;
    return STATUS_OK;
}

/* The blocks that are live where a rotated trace begins to list events. */
static int begin_behind_tally(struct ranges *ranges, struct trace_reader *reader)
{
    int status = STATUS_OK;
    ranges->thread_id = 0;
    for (uint32_t i = 0; i < ranges->slots->used_count && !status; i++)
        if (live_slot_is_live(&ranges->slots->slots[i]) && !(live_slot_flags(&ranges->slots->slots[i]) & TRACE_ARENA))
            status = take_live_block(ranges, reader, i);
    if (!status)
        status = take_latest(ranges, reader);
    ranges->level = ranges->highest = *trace_reader_level(reader);
    ranges->mark++;
    ranges->is_behind_tally = 0;
    return status;
}

static void pass_tally(struct ranges *ranges, const struct trace_tally *tally)
{
    ranges->is_behind_tally = 1;
    ranges->small_copied_bytes = ranges->window_small_copied_bytes = tally->small_copied_bytes;
    ranges->small_copies = ranges->window_small_copies = tally->small_copies;
}

/* ---- the pass ---- */

static int read_block(struct ranges *ranges, struct trace_reader *reader, struct status_detail *detail)
{
    struct trace_event events[BATCH];
    size_t count;
    int status = ranges->is_behind_tally && trace_reader_is_segment(reader) ? begin_behind_tally(ranges, reader) : STATUS_OK;
    while (!status && !trace_reader_next_events(reader, events, BATCH, &count, detail))
        for (size_t i = 0; i < count && !status; i++)
            status = apply(ranges, &events[i]);
    return status;
}

/* A damaged block ends the pass, as it ends the replay. */
static int read_trace(struct ranges *ranges, struct trace_reader *reader, struct status_detail *detail)
{
    const struct trace_overview *overview = trace_reader_overview(reader);
    int status = STATUS_OK;
    while (!status && !trace_reader_next_block(reader, detail)) {
        const struct trace_tally *tally = trace_reader_tally(reader);
        if (tally && overview->has_tally && tally->start_time_ns >= overview->stream_end_ns)
            return STATUS_OK;
        if (tally && ranges->event_count)
            return STATUS_END; /* listed, added up and listed again: no writer does that */
        if (tally)
            pass_tally(ranges, tally);
        status = read_block(ranges, reader, detail);
    }
    return status;
}

static int finish(struct ranges *ranges, const struct trace_reader *reader)
{
    int status = STATUS_OK;
    while (!status && ranges->window < ranges->report->window_count)
        status = range_close_window(ranges);
    for (uint32_t i = 0; !status && i < ranges->slots->used_count && i < ranges->note_capacity; i++) {
        const struct live_slot *slot = &ranges->slots->slots[i];
        if (!live_slot_is_live(slot) || live_slot_flags(slot) & TRACE_ARENA)
            continue;
        const struct trace_weight weight = ranges->is_weighted ? trace_reader_weight(reader, i) : weight_table_of(&ranges->weights, i, live_slots_size(ranges->slots, i));
        status = range_count_death(ranges, ranges->notes[i].use, ranges->notes[i].birth, (int64_t)weight.bytes, (int64_t)weight.count);
    }
    return status ? status : range_flush_deaths(ranges);
}

static int make_report(struct ranges *ranges, struct trace_reader *reader, struct status_detail *detail)
{
    if (!ranges->report || range_rows_begin(ranges) || !room_for(ranges, 0))
        return STATUS_NO_MEMORY;
    ranges->report->window_count = ranges->request->window_count;
    int status = read_trace(ranges, reader, detail);
    return status ? status : finish(ranges, reader);
}

static void ranges_done(struct ranges *ranges)
{
    free(ranges->states);
    free(ranges->use_table);
    free(ranges->deaths);
    free(ranges->notes);
    free(ranges->threads);
    free(ranges->changed);
    weight_table_done(&ranges->weights);
}

void range_report_free(struct range_report *report)
{
    if (!report)
        return;
    free(report->uses);
    free(report->flows);
    free(report->kept);
    free(report->peaks);
    free(report);
}

int range_report_build(const char *trace_path, const struct range_request *request, struct range_report **ret_report, struct status_detail *detail)
{
    struct status_detail ignored;
    struct trace_reader *reader;
    int status = trace_reader_open(trace_path, &reader, detail ? detail : &ignored);
    if (status)
        return status;
    const struct trace_identity *identity = &trace_reader_overview(reader)->identity;
    struct ranges ranges = {
        .request = request,
        .slots = trace_reader_slots(reader),
        .report = calloc(1, sizeof *ranges.report),
        .mark = 1,
        .is_sampled = identity->sampling_interval_bytes || identity->flags & TRACE_WEIGHTED,
        .is_weighted = (identity->flags & (TRACE_ROTATED | TRACE_WEIGHTED)) != 0,
    };
    weight_table_init(&ranges.weights, identity->sampling_interval_bytes);
    status = make_report(&ranges, reader, detail ? detail : &ignored);
    trace_reader_close(reader);
    ranges_done(&ranges);
    if (status)
        range_report_free(ranges.report);
    else
        *ret_report = ranges.report;
    return status;
}
