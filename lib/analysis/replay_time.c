/* What the replay does as time passes: rows of the timeline, and the live bytes of each stack at the end of each window.
 *
 * The run's duration is known beforehand, so both are cut into equal parts. A row or window closes at the first time stamp at or
 * past its end; everything before that stamp belongs to it. */
#include "replay_state.h"

#include "array.h"

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
}

static void close_row(struct replay_state *state)
{
    struct replay *replay = state->replay;
    uint64_t heap_bytes = trace_level_total(&state->level);
    struct timeline_row *last = replay->timeline_count ? &replay->timeline[replay->timeline_count - 1] : NULL;
    if (last && last->time_ns == state->time_ns) {
        last->heap_bytes = heap_bytes;
        last->rss_bytes = state->rss_bytes;
        if (state->row_peak_bytes > last->heap_peak_bytes)
            last->heap_peak_bytes = state->row_peak_bytes;
    } else if (replay->timeline_count < REPLAY_TIMELINE_ROWS) {
        replay->timeline[replay->timeline_count++] =
            (struct timeline_row){state->time_ns, heap_bytes, state->row_peak_bytes, state->rss_bytes};
    }
    state->row_peak_bytes = heap_bytes;
    state->row_end_ns = (state->time_ns / state->row_width_ns + 1) * state->row_width_ns;
}

static int log_changes(struct replay_state *state, uint32_t window_id)
{
    struct replay *replay = state->replay;
    uint32_t stack_count = replay->definitions.node_count;
    if (!ARRAY_RESERVE(state->window_levels, state->window_level_capacity, stack_count))
        return STATUS_NO_MEMORY;
    for (uint32_t stack_id = 0; stack_id < stack_count; stack_id++) {
        const struct stack_use *use = &replay->uses[stack_id];
        struct stack_level *logged = &state->window_levels[stack_id];
        if (use->live_bytes == logged->bytes && use->live_allocations == logged->allocations)
            continue;
        struct window_change change = {use->live_bytes, use->live_allocations, stack_id, window_id};
        int status = window_log_add(&replay->window_log, &change);
        if (status)
            return status;
        *logged = (struct stack_level){use->live_bytes, use->live_allocations};
    }
    return STATUS_OK;
}

static int close_window(struct replay_state *state)
{
    struct replay *replay = state->replay;
    uint32_t window_id = replay->window_count++;
    replay->windows[window_id] = (struct window_row){state->window_end_ns, trace_level_total(&state->level)};
    state->window_end_ns = window_end(replay, replay->window_count);
    return log_changes(state, window_id);
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
