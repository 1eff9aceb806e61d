/* What the replay does as time passes: rows of the timeline, and the live bytes of each stack at the end of each window.
 *
 * The run's duration is known beforehand, so both are cut into equal parts. A row or window closes at the first time stamp at or
 * past its end; everything before that stamp belongs to it. */
#include "replay_state.h"

static uint64_t window_end(const struct replay *replay, uint32_t window_id)
{
    return (uint64_t)((unsigned __int128)replay->duration_ns * (window_id + 1) / REPLAY_WINDOWS);
}

void replay_time_begin(struct replay_state *state)
{
    uint64_t duration_ns = state->replay->duration_ns;
    state->birth_unit_ns = duration_ns / UINT32_MAX + 1;
    state->row_width_ns = duration_ns / (REPLAY_TIMELINE_ROWS - 2) + 1;
    state->row_end_ns = state->row_width_ns;
    state->window_end_ns = window_end(state->replay, 0);
    state->window_stamp = 1;
}

_Static_assert(REPLAY_WINDOWS < STAMP_WINDOW, "a stamp holds any window's number, from 1");

static void close_row(struct replay_state *state)
{
    struct replay *replay = state->replay;
    uint64_t heap_bytes = trace_level_total(&state->level), block_bytes = state->level.outside_bytes + state->level.object_bytes;
    struct timeline_row *last = replay->timeline_count ? &replay->timeline[replay->timeline_count - 1] : NULL;
    if (last && last->time_ns == state->time_ns) {
        last->heap_bytes = heap_bytes;
        last->block_bytes = block_bytes;
        last->event_count = state->event_count;
        last->rss_bytes = state->rss_bytes;
        if (state->row_peak_bytes > last->heap_peak_bytes)
            last->heap_peak_bytes = state->row_peak_bytes;
    } else if (replay->timeline_count < REPLAY_TIMELINE_ROWS) {
        replay->timeline[replay->timeline_count++] =
            (struct timeline_row){state->time_ns, heap_bytes, state->row_peak_bytes, state->rss_bytes, block_bytes, state->event_count};
    }
    state->row_peak_bytes = heap_bytes;
    state->row_end_ns = (state->time_ns / state->row_width_ns + 1) * state->row_width_ns;
}

int replay_list_change(struct replay_state *state, uint32_t use_id)
{
    uint8_t *stamp = &state->replay->uses.stamps[use_id];
    if (!ARRAY_EXTEND(state->changed, state->changed_capacity, state->changed_count + 1))
        return STATUS_NO_MEMORY;
    state->changed[state->changed_count++] = use_id;
    *stamp = (uint8_t)((*stamp & STAMP_LOGGED) | state->window_stamp);
    return STATUS_OK;
}

/* What holds nothing, and did so before, isn't worth a word. */
static int log_changes(struct replay_state *state, uint32_t window_id)
{
    struct replay *replay = state->replay;
    for (size_t i = 0; i < state->changed_count; i++) {
        uint32_t use_id = state->changed[i];
        const struct stack_use *use = &replay->uses.uses[use_id];
        uint8_t *stamp = &replay->uses.stamps[use_id];
        int holds = use->live_bytes || use->live_allocations;
        if (!holds && !(*stamp & STAMP_LOGGED))
            continue;
        struct window_change change = {use->live_bytes, use->live_allocations, use_id, window_id};
        int status = window_log_add(&replay->window_log, &change);
        if (status)
            return status;
        *stamp = (uint8_t)((*stamp & ~STAMP_LOGGED) | (holds ? STAMP_LOGGED : 0));
    }
    state->changed_count = 0;
    state->window_stamp++;
    return STATUS_OK;
}

static int close_window(struct replay_state *state)
{
    struct replay *replay = state->replay;
    uint32_t window_id = replay->window_count++;
    replay->windows[window_id] = (struct window_row){state->window_end_ns, trace_level_total(&state->level), state->event_count};
    state->window_end_ns = window_end(replay, replay->window_count);
    int status = log_changes(state, window_id);
    return status ? status : survivor_log_window(state, window_id, window_id == REPLAY_WINDOWS - 1);
}

int replay_time_pass(struct replay_state *state, uint64_t time_ns)
{
    state->time_ns = time_ns;
    if (time_ns >= state->row_end_ns)
        close_row(state);
    /* The last window stays open until the end: what follows the last time stamp belongs to it. */
    while (time_ns >= state->window_end_ns && state->replay->window_count < REPLAY_WINDOWS - 1) {
        int status = close_window(state);
        if (status)
            return status;
    }
    state->birth = (uint32_t)(time_ns / state->birth_unit_ns);
    return STATUS_OK;
}

int replay_time_end(struct replay_state *state)
{
    int status = replay_time_pass(state, state->replay->duration_ns);
    if (!status)
        close_row(state);
    return status ? status : close_window(state);
}
