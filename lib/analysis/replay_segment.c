/* Where a segment of a rotated trace begins (trace_reader.h). If the events before it were listed too, the replay knows all there is to know.
 * Behind history it does not: the blocks that are live, which until then were sums, are blocks from here on, with the ages the trace gives
 * them. One thread; allocates. */
#include "replay_state.h"

#include <stdio.h>
#include <stdlib.h>

/* What the blocks of each stack add up to must be what history led to. */
static int check_stacks(const struct replay_state *state, const struct trace_reader *reader)
{
    const struct stack_uses *uses = &state->replay->uses;
    struct stack_level *levels = calloc(uses->use_count, sizeof *levels);
    int status = levels ? STATUS_OK : STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < state->slots->used_count && !status; i++) {
        const struct live_slot *slot = &state->slots->slots[i];
        if (!live_slot_is_live(slot) || live_slot_flags(slot) & TRACE_ARENA)
            continue;
        uint32_t use_id = uses->ids[slot->stack_id];
        struct trace_weight weight = trace_reader_weight(reader, i);
        levels[use_id].bytes += weight.bytes;
        levels[use_id].allocations += weight.count;
        if (!use_id)
            status = STATUS_CORRUPT;
    }
    for (uint32_t id = 1; id < uses->use_count && !status; id++)
        if (levels[id].bytes != uses->uses[id].live_bytes || levels[id].allocations != uses->uses[id].live_allocations)
            status = STATUS_CORRUPT;
    free(levels);
    return status;
}

static int take_births(struct replay_state *state, struct trace_reader *reader)
{
    uint64_t time_ns;
    uint32_t slot, thread_id;
    while (trace_reader_next_birth(reader, &slot, &time_ns)) {
        if (!replay_reserve_notes(state, slot))
            return STATUS_NO_MEMORY;
        uint64_t birth = (time_ns < state->time_ns ? time_ns : state->time_ns) / state->birth_unit_ns;
        state->births[slot] = (uint32_t)birth;
    }
    while (trace_reader_next_latest(reader, &thread_id, &slot))
        replay_set_latest(state, thread_id, slot);
    return STATUS_OK;
}

/* What history has counted a block as. Its variance is in history's already. */
static int take_weights(struct replay_state *state, const struct trace_reader *reader)
{
    for (uint32_t i = 0; i < state->slots->used_count && state->is_sampled; i++) {
        if (!live_slot_is_live(&state->slots->slots[i]))
            continue;
        struct trace_weight weight = trace_reader_weight(reader, i);
        if (!replay_reserve_notes(state, i))
            return STATUS_NO_MEMORY;
        state->weights[i] = replay_weight_of(live_slots_size(state->slots, i), weight);
    }
    return STATUS_OK;
}

/* Sums said only roughly how old blocks are. */
static void forget_tally_births(struct replay_state *state)
{
    for (size_t i = 0; i < state->tally_birth_capacity; i++)
        state->tally_births[i].known = BIRTHS_OF_EVENTS;
}

int replay_segment(struct replay_state *state, struct trace_reader *reader, struct status_detail *detail)
{
    if (!state->is_behind_tally)
        return STATUS_OK;
    int status = check_stacks(state, reader);
    if (!status)
        status = take_births(state, reader);
    if (!status)
        status = take_weights(state, reader);
    if (status == STATUS_CORRUPT) {
        detail->offset = trace_reader_position(reader);
        snprintf(detail->message, sizeof detail->message, "the live blocks at the beginning of a segment aren't what its stacks had");
    }
    if (!status) {
        forget_tally_births(state);
        state->is_behind_tally = 0;
    }
    return status;
}
