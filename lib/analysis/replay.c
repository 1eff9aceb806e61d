/* The replay's frame: opens the trace, walks its blocks, and gathers the results (replay.h).
 *
 * The trace's headers say beforehand at which event the high-water mark was reached, so that one pass can take its snapshot. The
 * pass finds the mark itself as well; where the two differ (a damaged tail, wrong headers, a sample, of whose weights headers know nothing) a
 * second pass takes the right one. */
#include "replay.h"

#include <math.h>
#include <stdio.h>

#include "replay_state.h"
#include "teardown.h"

void replay_state_done(struct replay_state *state)
{
    free(state->births);
    free(state->weights);
    free(state->latest);
    free(state->threads);
    free(state->changed);
    free(state->tally_births);
}

/* Room for everything that the events of a block may refer to: ids are checked once a block, not once an event. */
static int reserve_for_definitions(struct replay_state *state)
{
    struct replay *replay = state->replay;
    size_t threads_before = state->thread_capacity;
    if (stack_uses_extend(&replay->uses, replay->definitions.node_count) ||
        !ARRAY_RESERVE(state->threads, state->thread_capacity, replay->definitions.thread_count))
        return STATUS_NO_MEMORY;
    for (size_t i = threads_before; i < state->thread_capacity; i++) {
        state->threads[i].last_slot = SLOT_NONE;
        state->threads[i].sampling_interval_bytes = replay->overview.identity.sampling_interval_bytes;
    }
    return STATUS_OK;
}

/* The levels of all uses that are live now. */
static int take_levels(const struct stack_uses *uses, struct level_table *table)
{
    uint32_t count = 1;
    for (uint32_t id = 1; id < uses->use_count; id++)
        count += uses->uses[id].live_allocations != 0;
    table->ids = calloc(uses->use_count, sizeof *table->ids);
    table->levels = calloc(count, sizeof *table->levels);
    if (!table->ids || !table->levels)
        return STATUS_NO_MEMORY;
    table->use_count = uses->use_count;
    count = 1;
    for (uint32_t id = 1; id < uses->use_count; id++)
        if (uses->uses[id].live_allocations) {
            table->ids[id] = count;
            table->levels[count++] = (struct stack_level){uses->uses[id].live_bytes, uses->uses[id].live_allocations};
        }
    return STATUS_OK;
}

static void take_errors(struct stack_uses *uses)
{
    for (uint32_t id = 1; id < uses->use_count && id < uses->error_capacity; id++)
        uses->errors[id].peak = uses->errors[id].live;
}

int replay_take_snapshot(struct replay_state *state)
{
    int status = take_levels(&state->replay->uses, &state->replay->peak);
    state->snapshot_bytes = trace_level_total(&state->level);
    state->snapshot_slack_bytes = replay_slack_bytes(&state->level);
    state->snapshot_allocations = state->live_allocations;
    state->snapshot_variance = state->live_variance;
    take_errors(&state->replay->uses);
    return status;
}

static int read_definitions(struct replay_state *state, struct trace_reader *reader, struct status_detail *detail)
{
    struct trace_definition definition;
    int status;
    while (!(status = trace_reader_next_definition(reader, &definition, detail))) {
        status = definition_table_add(&state->replay->definitions, &definition);
        if (status == STATUS_CORRUPT)
            *detail = (struct status_detail){status, trace_reader_position(reader), "a definition's number is out of order"};
        if (status)
            return status;
    }
    return status == STATUS_END ? reserve_for_definitions(state) : status;
}

static int read_events(struct replay_state *state, struct trace_reader *reader, struct status_detail *detail)
{
    const struct trace_tally *tally = trace_reader_tally(reader);
    size_t count;
    int status = tally                              ? replay_tally(state, reader, tally, detail)
                 : trace_reader_is_segment(reader) ? replay_segment(state, reader, detail)
                                                   : STATUS_OK;
    if (status)
        return status;
    while (!(status = trace_reader_next_events(reader, state->events, REPLAY_BATCH, &count, detail))) {
        status = replay_events(state, state->events, count);
        if (unlikely(status)) {
            snprintf(detail->message, sizeof detail->message, "%s",
                     status == STATUS_SYSTEM ? "cannot write a temporary file" : "not enough memory to replay the trace");
            break;
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

int replay_read_block(struct replay_state *state, struct trace_reader *reader, struct status_detail *detail)
{
    int status = read_definitions(state, reader, detail);
    return status ? status : read_events(state, reader, detail);
}

/* All blocks. A block that turns out to be damaged ends the pass, and is no error: what was before it is reported. */
static int read_blocks(struct replay_state *state, struct trace_reader *reader, replay_progress *progress, void *context,
                       struct status_detail *detail)
{
    struct replay *replay = state->replay;
    uint64_t file_bytes = replay->overview.file_bytes;
    int status;
    while (!(status = trace_reader_next_block(reader, detail))) {
        status = replay_read_block(state, reader, detail);
        if (status)
            break;
        if (progress && file_bytes)
            progress(context, (double)trace_reader_position(reader) / (double)file_bytes);
    }
    if (status == STATUS_CORRUPT || status == STATUS_TRUNCATED || status == STATUS_TOO_LARGE) {
        replay->damage = *detail;
        replay->damage.status = status;
        return STATUS_OK;
    }
    return status == STATUS_END ? STATUS_OK : status;
}

/* List the stacks that are live now. Sets *ret_ids: by use, its place in the list, from 1. */
static int list_live(struct replay *replay, uint32_t **ret_ids)
{
    const struct stack_uses *uses = &replay->uses;
    uint32_t *ids = calloc(uses->use_count, sizeof *ids), count = 0;
    for (uint32_t id = 1; id < uses->use_count; id++)
        count += uses->uses[id].live_allocations != 0;
    replay->live = calloc(count + 1u, sizeof *replay->live);
    if (!ids || !replay->live) {
        free(ids);
        return STATUS_NO_MEMORY;
    }
    for (uint32_t stack_id = 0; stack_id < uses->stack_count; stack_id++)
        if (uses->ids[stack_id] && uses->uses[uses->ids[stack_id]].live_allocations) {
            replay->live[replay->live_count] = (struct live_stack){UINT64_MAX, 0, stack_id};
            ids[uses->ids[stack_id]] = ++replay->live_count;
        }
    *ret_ids = ids;
    return STATUS_OK;
}

static int list_live_stacks(struct replay_state *state)
{
    struct replay *replay = state->replay;
    uint32_t *ids;
    int status = list_live(replay, &ids);
    if (status)
        return status;
    for (uint32_t i = 0; i < state->slots->used_count; i++) {
        const struct live_slot *slot = &state->slots->slots[i];
        if (!live_slot_is_live(slot) || live_slot_flags(slot) & TRACE_ARENA || i >= state->birth_capacity)
            continue;
        uint32_t id = ids[replay->uses.ids[slot->stack_id]];
        if (!id)
            continue;
        struct live_stack *live = &replay->live[id - 1];
        uint64_t birth_ns = state->births[i] * state->birth_unit_ns;
        if (birth_ns < live->oldest_ns)
            live->oldest_ns = birth_ns;
        if (birth_ns > live->newest_ns)
            live->newest_ns = birth_ns;
    }
    free(ids);
    return STATUS_OK;
}

/* Sums and differences of large numbers may end up a little below zero. */
static uint64_t whole(double value)
{
    return value > 0 ? (uint64_t)(value + 0.5) : 0;
}

static uint64_t standard_error(double variance)
{
    return variance > 0 ? whole(sqrt(variance)) : 0;
}

void replay_gather_totals(struct replay_state *state)
{
    struct replay *replay = state->replay;
    struct replay_totals *totals = &replay->totals;
    totals->allocated_bytes = totals->allocations = totals->temporary_allocations = totals->copied_bytes = totals->copies = 0;
    for (uint32_t id = 1; id < replay->uses.use_count; id++) {
        totals->allocated_bytes += replay->uses.uses[id].allocated_bytes;
        totals->allocations += replay->uses.uses[id].allocations;
        totals->temporary_allocations += replay->uses.uses[id].temporary_allocations;
    }
    for (uint32_t id = 1; id < replay->uses.copy_count; id++) {
        totals->copied_bytes += replay->uses.copies[id].bytes;
        totals->copies += replay->uses.copies[id].count;
    }
    totals->copied_bytes += totals->small_copied_bytes;
    totals->copies += totals->small_copies;
    totals->event_count = state->event_count;
    totals->live_bytes = trace_level_total(&state->level);
    totals->live_allocations = state->live_allocations;
    totals->live_slack_bytes = replay_slack_bytes(&state->level);
    totals->peak_bytes = trace_level_total(&state->highest);
    totals->peak_slack_bytes = replay_slack_bytes(&state->highest);
    totals->peak_event = state->highest_event;
    totals->peak_time_ns = state->highest_time_ns;
    totals->peak_allocations = state->snapshot_allocations;
    totals->allocated_bytes_error = standard_error(state->allocated_variance);
    totals->peak_bytes_error = standard_error(state->snapshot_variance);
    if (replay->overview.has_end && replay->overview.end.totals.peak_rss_bytes > totals->peak_rss_bytes)
        totals->peak_rss_bytes = replay->overview.end.totals.peak_rss_bytes;
}

/* The recorder counted too: where it says something else, something is wrong, and the reader must know. */
static void compare_with_recorder(struct replay *replay)
{
    const struct replay_totals *found = &replay->totals;
    const struct trace_totals *told = &replay->overview.end.totals;
    if (replay->damage.status || !replay->overview.has_end)
        return;
    if (found->sampling_interval_bytes && found->event_count == told->event_count)
        return; /* its other figures are of the sample itself */
    if (found->event_count == told->event_count && found->allocated_bytes == told->allocated_bytes &&
        found->allocations == told->allocations && found->copied_bytes == told->copied_bytes && found->copies == told->copies &&
        found->peak_bytes == told->peak_bytes && found->live_bytes == told->live_bytes)
        return;
    replay->damage = (struct status_detail){STATUS_CORRUPT, replay->overview.good_bytes,
                                            "the totals in the end block differ from what the events add up to"};
}

static int finish_pass(struct replay_state *state)
{
    struct replay *replay = state->replay;
    /* A damaged block may have defined stacks before it turned out to be. */
    int status = stack_uses_extend(&replay->uses, replay->definitions.node_count);
    if (!status)
        status = replay_time_end(state);
    if (!status)
        status = list_live_stacks(state);
    if (status)
        return status;
    replay_tally_births(state);
    replay->teardown_ns = teardown_find(replay);
    replay_gather_totals(state);
    compare_with_recorder(replay);
    return STATUS_OK;
}

static void describe_trace(struct replay *replay, const struct trace_reader *reader)
{
    struct status_detail damage = {0};
    int status = trace_reader_damage(reader, &damage);
    replay->overview = *trace_reader_overview(reader);
    replay->duration_ns = replay->overview.end_time_ns;
    if (replay->overview.has_end && replay->overview.end.time_ns > replay->duration_ns)
        replay->duration_ns = replay->overview.end.time_ns;
    if (status) {
        replay->damage = damage;
        replay->damage.status = status;
    }
}

static struct replay *replay_new(void)
{
    struct replay *replay = calloc(1, sizeof *replay);
    if (!replay)
        return NULL;
    window_log_init(&replay->window_log);
    if (!definition_table_init(&replay->definitions) && !stack_uses_init(&replay->uses))
        return replay;
    replay_free(replay);
    return NULL;
}

int replay_state_begin(struct replay_state *state, struct trace_reader *reader)
{
    *state = (struct replay_state){.slots = trace_reader_slots(reader), .snapshot_event = NO_EVENT};
    if (!(state->replay = replay_new()))
        return STATUS_NO_MEMORY;
    describe_trace(state->replay, reader);
    state->replay->totals.sampling_interval_bytes = state->replay->overview.identity.sampling_interval_bytes;
    state->is_sampled = state->replay->totals.sampling_interval_bytes != 0;
    state->is_weighted = (state->replay->overview.identity.flags & (TRACE_ROTATED | TRACE_WEIGHTED)) != 0;
    state->is_sampled |= (state->replay->overview.identity.flags & TRACE_WEIGHTED) != 0;
    replay_time_begin(state);
    return reserve_for_definitions(state);
}

/* One pass. `snapshot_event`: NO_EVENT takes what the trace's headers say. Sets *ret_wrong_event when the snapshot was not
 * taken at the high-water mark. */
static int replay_pass(struct trace_reader *reader, uint64_t snapshot_event, replay_progress *progress, void *context,
                       struct replay **ret_replay, int *ret_wrong_event, struct status_detail *detail)
{
    struct replay_state state;
    int status = replay_state_begin(&state, reader);
    if (!state.replay)
        return status;
    uint64_t wanted = snapshot_event == NO_EVENT ? state.replay->overview.peak_event : snapshot_event;
    state.snapshot_event = wanted ? wanted : NO_EVENT;
    if (!status)
        status = read_blocks(&state, reader, progress, context, detail);
    if (!status)
        status = finish_pass(&state);
    *ret_wrong_event = wanted != state.highest_event || state.snapshot_bytes != trace_level_total(&state.highest);
    if (status)
        replay_free(state.replay);
    else
        *ret_replay = state.replay;
    replay_state_done(&state);
    return status;
}

int replay_run(const char *trace_path, replay_progress *progress, void *context, struct replay **ret_replay,
               struct status_detail *detail)
{
    struct status_detail ignored;
    uint64_t snapshot_event = NO_EVENT;
    if (!detail)
        detail = &ignored;
    for (;;) {
        struct trace_reader *reader;
        struct replay *replay = NULL;
        int wrong_event = 0, status = trace_reader_open(trace_path, &reader, detail);
        if (status)
            return status;
        status = replay_pass(reader, snapshot_event, progress, context, &replay, &wrong_event, detail);
        trace_reader_close(reader);
        if (status)
            return status;
        if (!wrong_event || snapshot_event != NO_EVENT) {
            *ret_replay = replay;
            return STATUS_OK;
        }
        snapshot_event = replay->totals.peak_event;
        replay_free(replay);
    }
}

void replay_free(struct replay *replay)
{
    if (!replay)
        return;
    definition_table_done(&replay->definitions);
    window_log_done(&replay->window_log);
    survivor_log_done(&replay->survivors);
    stack_uses_done(&replay->uses);
    free(replay->peak.ids);
    free(replay->peak.levels);
    free(replay->live);
    free(replay);
}
