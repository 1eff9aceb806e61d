/* What the replay does with a tally: events that a trace of bounded size doesn't list, but adds up (trace_tally.h).
 *
 * Consumes the current block of a trace_reader; changes the replay's state as its events would have, at once: stacks, level, high-water
 * mark, totals. Only the timeline gets more than the sum. The windows of time that end within the stretch see the stacks as they were at
 * its beginning. One thread; allocates. */
#include "replay_state.h"

#include <stdio.h>

/* A figure that cannot fall below zero, after a change. */
static int is_possible(uint64_t figure, int64_t change)
{
    return (int64_t)(figure + (uint64_t)change) >= 0;
}

/* There are never 2^32 live blocks. */
static int is_possible_count(uint32_t figure, int64_t change)
{
    return is_possible(figure, change) && figure + (uint64_t)change <= UINT32_MAX;
}

/* No stack may end up with less than nothing. From here on each has a use. */
static int check_stacks(struct replay *replay, struct trace_reader *reader)
{
    struct tally_stack stack;
    while (trace_reader_next_tally_stack(reader, &stack)) {
        uint32_t use_id = stack_uses_get(&replay->uses, stack.stack_id);
        if (!use_id)
            return STATUS_NO_MEMORY;
        const struct stack_use *use = &replay->uses.uses[use_id];
        if (!is_possible(use->live_bytes, stack.live_bytes) || !is_possible_count(use->live_allocations, stack.live_allocations) ||
            !is_possible(use->temporary_allocations, stack.temporary_allocations) ||
            !is_possible(use->live_bytes, stack.peak_bytes) || !is_possible_count(use->live_allocations, stack.peak_allocations))
            return STATUS_CORRUPT;
    }
    trace_reader_rewind_tally(reader);
    return STATUS_OK;
}

/* Of a moment only the sum of the level is known. */
static int pass_moments(struct replay_state *state, struct trace_reader *reader, uint64_t end_time_ns)
{
    struct tally_moment moment;
    int status = STATUS_OK;
    while (!status && trace_reader_next_moment(reader, &moment)) {
        if (moment.heap_peak_bytes > state->row_peak_bytes)
            state->row_peak_bytes = moment.heap_peak_bytes;
        state->level = (struct trace_level){.outside_bytes = moment.heap_bytes};
        state->rss_bytes = moment.rss_bytes;
        status = replay_time_pass(state, moment.time_ns);
    }
    return status ? status : replay_time_pass(state, end_time_ns);
}

/* NULL: there is no memory, so that nobody knows any more. */
static struct count_error *error_of(struct replay_state *state, const struct tally_stack *stack)
{
    struct stack_uses *uses = &state->replay->uses;
    struct count_error *error = stack_uses_error(uses, uses->ids[stack->stack_id]);
    if (!error)
        state->replay->totals.has_unknown_errors = 1;
    return error;
}

static void move_error_to_peak(struct replay_state *state, const struct tally_stack *stack, int sign)
{
    struct count_error *error = error_of(state, stack);
    if (error)
        error->live += sign * stack->errors.peak;
}

/* Bring the stacks from the stretch's beginning to the high-water mark within it (sign 1), or back. */
static void move_to_peak(struct replay_state *state, struct trace_reader *reader, int sign)
{
    struct tally_stack stack;
    while (trace_reader_next_tally_stack(reader, &stack)) {
        struct stack_use *use = &state->replay->uses.uses[state->replay->uses.ids[stack.stack_id]];
        use->live_bytes += (uint64_t)(sign * stack.peak_bytes);
        use->live_allocations += (uint32_t)(sign * stack.peak_allocations);
        state->live_allocations += (uint64_t)(sign * stack.peak_allocations);
        if (stack.errors.largest_block > 0 || stack.errors.peak != 0)
            move_error_to_peak(state, &stack, sign);
    }
    trace_reader_rewind_tally(reader);
}

static int take_snapshot_within(struct replay_state *state, struct trace_reader *reader, const struct trace_tally *tally)
{
    move_to_peak(state, reader, 1);
    int status = replay_take_snapshot(state);
    move_to_peak(state, reader, -1);
    state->snapshot_bytes = tally->peak_bytes;
    state->snapshot_slack_bytes = replay_slack_bytes(&tally->peak_level);
    state->snapshot_variance = tally->peak_variance;
    state->snapshot_event = NO_EVENT;
    return status;
}

static uint64_t birth_ns(const struct replay_state *state, uint64_t birth)
{
    uint64_t slot = birth >> 1;
    if (birth & TALLY_BIRTH_TIME)
        return birth >> 1;
    return slot < state->slots->used_count && slot < state->birth_capacity ? state->births[slot] * state->birth_unit_ns : 0;
}

/* The last tally says how old a stack's blocks are. Until then, those it allocated are as old as the stretches in which it did. */
static void note_births(struct replay_state *state, const struct trace_tally *tally, const struct tally_stack *stack, uint32_t use_id)
{
    struct tally_births *births = &state->tally_births[use_id];
    if (stack->has_births) {
        uint64_t oldest_ns = birth_ns(state, stack->oldest), newest_ns = birth_ns(state, stack->newest);
        *births = (struct tally_births){oldest_ns, newest_ns < oldest_ns ? oldest_ns : newest_ns, BIRTHS_EXACT};
    } else if (stack->allocations || stack->live_allocations > 0) {
        if (births->known == BIRTHS_OF_EVENTS)
            births->oldest_ns = tally->start_time_ns;
        births->newest_ns = tally->end_time_ns;
        births->known = BIRTHS_WITHIN;
    }
}

static void apply_errors(struct replay_state *state, const struct tally_stack *stack)
{
    struct count_error done = stack->errors;
    struct count_error *error = done.live != 0 || !count_error_is_zero(&done) ? error_of(state, stack) : NULL;
    done.peak = 0; /* moved to and back (above) */
    if (error)
        count_error_add(error, &done);
}

static int apply_stack(struct replay_state *state, const struct trace_tally *tally, const struct tally_stack *stack)
{
    struct stack_uses *uses = &state->replay->uses;
    uint32_t use_id = uses->ids[stack->stack_id];
    struct stack_use *use = &uses->uses[use_id];
    use->live_bytes += (uint64_t)stack->live_bytes;
    use->live_allocations += (uint32_t)stack->live_allocations;
    use->allocated_bytes += stack->allocated_bytes;
    use->allocations += stack->allocations;
    use->temporary_allocations += (uint64_t)stack->temporary_allocations;
    state->live_allocations += (uint64_t)stack->live_allocations;
    note_births(state, tally, stack, use_id);
    apply_errors(state, stack);
    int status = replay_note_change(state, use_id);
    if (!status && (stack->copies || stack->copied_bytes))
        status = stack_uses_count_copies(uses, use_id, stack->copied_bytes, stack->copies);
    return status;
}

static int apply_stacks(struct replay_state *state, struct trace_reader *reader, const struct trace_tally *tally)
{
    struct tally_stack stack;
    int status = STATUS_OK;
    while (!status && trace_reader_next_tally_stack(reader, &stack))
        status = apply_stack(state, tally, &stack);
    return status;
}

static void apply_figures(struct replay_state *state, const struct trace_tally *tally)
{
    struct replay_totals *totals = &state->replay->totals;
    state->event_count += tally->event_count;
    state->level = tally->end_level;
    if (tally->longest_interval_bytes) {
        state->allocated_variance = tally->allocated_variance;
        state->live_variance = tally->live_variance;
        totals->has_unknown_errors |= !tally->has_errors;
        totals->sampling_interval_bytes = tally->longest_interval_bytes;
    }
    totals->lost_events = tally->lost_events;
    totals->unknown_frees = tally->unknown_frees;
    totals->small_copies = tally->small_copies;
    totals->small_copied_bytes = tally->small_copied_bytes;
    if (tally->peak_rss_bytes > totals->peak_rss_bytes)
        totals->peak_rss_bytes = tally->peak_rss_bytes;
    if (!tally->has_peak)
        return;
    state->highest = tally->peak_level;
    state->highest_event = tally->peak_event;
    state->highest_time_ns = tally->peak_time_ns;
}

int replay_tally(struct replay_state *state, struct trace_reader *reader, const struct trace_tally *tally, struct status_detail *detail)
{
    int status = check_stacks(state->replay, reader);
    if (status == STATUS_CORRUPT) {
        detail->offset = trace_reader_position(reader);
        snprintf(detail->message, sizeof detail->message, "a stack would hold less than nothing");
    }
    if (!status && !ARRAY_RESERVE(state->tally_births, state->tally_birth_capacity, state->replay->uses.use_count))
        status = STATUS_NO_MEMORY;
    if (!status && tally->has_peak && tally->peak_event == state->snapshot_event)
        status = take_snapshot_within(state, reader, tally);
    if (!status)
        status = pass_moments(state, reader, tally->end_time_ns);
    if (!status)
        status = apply_stacks(state, reader, tally);
    if (!status)
        apply_figures(state, tally);
    state->is_behind_tally = 1;
    return status;
}

void replay_tally_births(const struct replay_state *state)
{
    const struct replay *replay = state->replay;
    for (uint32_t i = 0; i < replay->live_count; i++) {
        struct live_stack *live = &replay->live[i];
        uint32_t use_id = replay->uses.ids[live->stack_id];
        if (use_id >= state->tally_birth_capacity)
            continue;
        const struct tally_births *tallied = &state->tally_births[use_id];
        if (tallied->known == BIRTHS_EXACT || (tallied->known == BIRTHS_WITHIN && tallied->oldest_ns < live->oldest_ns))
            live->oldest_ns = tallied->oldest_ns;
        if (tallied->known == BIRTHS_EXACT || (tallied->known == BIRTHS_WITHIN && tallied->newest_ns > live->newest_ns))
            live->newest_ns = tallied->newest_ns;
    }
}
