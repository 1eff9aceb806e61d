/* See live_replay.h. The replay's own state does the work; what differs is that nobody knows how long the run will be: time goes into rows of the
 * timeline that are joined by pairs whenever they become too many, and births are counted in milliseconds. */
#include "live_replay.h"

#include <stdlib.h>

#include "replay_state.h"

#define MS 1000000ull
#define FIRST_ROW_NS (10 * MS)
#define BIRTH_UNIT_NS MS /* 2^32 of them are 49 days; then they begin again, which only ages could tell */
/* A block has at most so many new rows that they still fit behind these. */
#define MAX_ROWS (REPLAY_TIMELINE_ROWS / 2)

struct live_replay {
    struct trace_reader *reader;
    struct replay_state state;
    struct frame_table frames;
};

/* No window ends, and no row but by the width of our own. */
static void keep_time(struct live_replay *live)
{
    struct replay_state *state = &live->state;
    state->birth_unit_ns = BIRTH_UNIT_NS;
    state->window_end_ns = UINT64_MAX;
    state->row_width_ns = FIRST_ROW_NS;
    while (live->state.replay->duration_ns / state->row_width_ns > MAX_ROWS)
        state->row_width_ns *= 2;
    state->row_end_ns = state->row_width_ns;
}

int live_replay_open(const char *trace_path, struct live_replay **ret_live, struct status_detail *detail)
{
    struct live_replay *live = calloc(1, sizeof *live);
    if (!live)
        return STATUS_NO_MEMORY;
    int status = trace_reader_open(trace_path, &live->reader, detail);
    if (!status)
        status = replay_state_begin(&live->state, live->reader);
    if (!status)
        status = frame_table_begin(&live->frames, live->state.replay->overview.identity.copy_threshold_bytes);
    if (status) {
        live_replay_close(live);
        return status;
    }
    keep_time(live);
    *ret_live = live;
    return STATUS_OK;
}

void live_replay_close(struct live_replay *live)
{
    if (!live)
        return;
    frame_table_done(&live->frames);
    replay_free(live->state.replay);
    replay_state_done(&live->state);
    trace_reader_close(live->reader);
    free(live);
}

int live_replay_follow(struct live_replay *live, struct status_detail *detail)
{
    struct replay *replay = live->state.replay;
    int status = trace_reader_follow(live->reader, detail);
    replay->overview = *trace_reader_overview(live->reader);
    replay->duration_ns = replay->overview.end_time_ns;
    return status;
}

int live_replay_is_rotated(const struct live_replay *live)
{
    return (live->state.replay->overview.identity.flags & TRACE_ROTATED) != 0;
}

/* Two rows become one: the later one's levels, the higher one's peak. */
static void join_rows(struct live_replay *live)
{
    struct replay *replay = live->state.replay;
    uint32_t count = replay->timeline_count / 2;
    for (uint32_t i = 0; i < count; i++) {
        struct timeline_row row = replay->timeline[2 * i + 1];
        if (replay->timeline[2 * i].heap_peak_bytes > row.heap_peak_bytes)
            row.heap_peak_bytes = replay->timeline[2 * i].heap_peak_bytes;
        replay->timeline[i] = row;
    }
    if (replay->timeline_count % 2)
        replay->timeline[count++] = replay->timeline[replay->timeline_count - 1];
    replay->timeline_count = count;
    live->state.row_width_ns *= 2;
}

int live_replay_step(struct live_replay *live, struct status_detail *detail)
{
    int status = trace_reader_next_block(live->reader, detail);
    if (!status)
        status = replay_read_block(&live->state, live->reader, detail);
    while (live->state.replay->timeline_count > MAX_ROWS)
        join_rows(live);
    return status;
}

double live_replay_done(const struct live_replay *live)
{
    uint64_t good_bytes = live->state.replay->overview.good_bytes;
    double done = good_bytes ? (double)trace_reader_position(live->reader) / (double)good_bytes : 1;
    return done < 1 ? done : 1;
}

int live_replay_name(struct live_replay *live, const struct symbol_sources *sources, frames_progress *progress, void *context)
{
    return frame_table_extend(&live->frames, &live->state.replay->definitions, sources, progress, context);
}

const struct replay *live_replay_sum(struct live_replay *live)
{
    replay_gather_totals(&live->state);
    return live->state.replay;
}

int live_replay_lines(const struct live_replay *live, struct line_report *ret_report)
{
    return line_report_build_self(ret_report, live->state.replay, &live->frames);
}

uint64_t live_replay_time_ns(const struct live_replay *live)
{
    return live->state.time_ns;
}

uint64_t live_replay_rss_bytes(const struct live_replay *live)
{
    return live->state.rss_bytes;
}
