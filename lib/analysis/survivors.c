/* Adds up live blocks by when they were allocated (survivors.h). */
#include "survivors.h"

#include "replay_state.h"

/* Counting looks at one block or stack for so many events, at most: a few percent of the replay. */
#define EVENTS_FOR_EACH 4

void survivors_done(struct survivors *survivors)
{
    free(survivors->ids);
    free(survivors->rows);
    *survivors = (struct survivors){0};
}

void survivor_log_done(struct survivor_log *log)
{
    survivors_done(&log->latest);
    survivors_done(&log->before_fall);
}

static int number_uses(const struct stack_uses *uses, struct survivors *survivors)
{
    uint32_t count = 0;
    for (uint32_t id = 1; id < uses->use_count; id++)
        count += uses->uses[id].live_allocations != 0;
    survivors->use_count = uses->use_count;
    survivors->ids = calloc(uses->use_count, sizeof *survivors->ids);
    survivors->rows = calloc(count + 1u, sizeof *survivors->rows);
    if (!survivors->ids || !survivors->rows)
        return STATUS_NO_MEMORY;
    count = 0;
    for (uint32_t id = 1; id < uses->use_count; id++)
        if (uses->uses[id].live_allocations)
            survivors->ids[id] = ++count;
    return STATUS_OK;
}

/* The decoder is some events ahead, a batch at most: a slot may belong to a stack that has no use yet. */
static void count_slots(const struct replay_state *state, struct survivors *survivors)
{
    const struct stack_uses *uses = &state->replay->uses;
    uint64_t units = state->replay->duration_ns / state->birth_unit_ns + 1;
    uint32_t end = state->slots->used_count < state->birth_capacity ? state->slots->used_count : (uint32_t)state->birth_capacity;
    for (uint32_t i = 0; i < end; i++) {
        const struct live_slot *slot = &state->slots->slots[i];
        if (!live_slot_is_live(slot) || live_slot_flags(slot) & TRACE_ARENA || slot->stack_id >= uses->stack_count)
            continue;
        uint32_t use_id = uses->ids[slot->stack_id], row = use_id < survivors->use_count ? survivors->ids[use_id] : 0;
        uint64_t part = state->births[i] * (uint64_t)SURVIVOR_PARTS / units;
        if (row && part < SURVIVOR_PARTS)
            survivors->rows[row].born_bytes[part] += state->is_sampled && state->weights[i].count ? state->weights[i].bytes : live_slots_size(state->slots, i);
    }
}

int survivor_log_window(struct replay_state *state, uint32_t window_id, int must)
{
    struct survivor_log *log = &state->replay->survivors;
    struct survivors taken = {.window_id = window_id, .block_bytes = state->level.outside_bytes + state->level.object_bytes, .taken = 1};
    uint64_t work = state->slots->used_count + (uint64_t)state->replay->uses.use_count;
    if (!must && state->event_count - log->event_count < EVENTS_FOR_EACH * work)
        return STATUS_OK;
    int status = number_uses(&state->replay->uses, &taken);
    if (status) {
        survivors_done(&taken);
        return status;
    }
    count_slots(state, &taken);
    if (log->latest.taken && taken.block_bytes < log->latest.block_bytes && !log->before_fall.taken) {
        log->before_fall = log->latest;
        log->latest = (struct survivors){0};
    } else if (taken.block_bytes >= log->latest.block_bytes) {
        survivors_done(&log->before_fall);
    }
    survivors_done(&log->latest);
    log->latest = taken;
    log->event_count = state->event_count;
    return STATUS_OK;
}

const struct survivors *survivor_log_find(const struct survivor_log *log, uint32_t last_window_id)
{
    if (log->latest.taken && log->latest.window_id <= last_window_id)
        return &log->latest;
    return log->before_fall.taken && log->before_fall.window_id <= last_window_id ? &log->before_fall : NULL;
}
