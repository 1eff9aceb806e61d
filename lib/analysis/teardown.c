/* Looks for the final fall in the timeline, from its end backwards (teardown.h). */
#include "teardown.h"

/* The fall may pause for so much of the run, and for longer if hardly anything happens (a collector that looks at all objects and frees few): at
 * most so much of all events. The heap may rise again by so much of what it has fallen. */
#define PAUSE_SHARE (1.0 / 50)
#define QUIET_PAUSE_SHARE (1.0 / 10)
#define QUIET_EVENT_SHARE (1.0 / 1000)
#define RISE_SHARE (1.0 / 50)
/* A smaller share of the heap: the program just ended. */
#define FALL_SHARE (1.0 / 20)
/* Within a shorter run nothing can be told apart. */
#define SHORTEST_NS UINT64_C(100000000)
/* What lasts longer is a phase of the program. */
#define LONGEST_SHARE (1.0 / 2)

/* Has the fall begun behind `top`, as the level before it has been the same for so long? */
static int is_pause_over(const struct replay *replay, const struct timeline_row *row, const struct timeline_row *top)
{
    double pause_ns = (double)(top->time_ns - row->time_ns), duration_ns = (double)replay->duration_ns;
    double events = (double)(top->event_count - row->event_count), all = (double)replay->timeline[replay->timeline_count - 1].event_count;
    return pause_ns > PAUSE_SHARE * duration_ns && (pause_ns > QUIET_PAUSE_SHARE * duration_ns || events > QUIET_EVENT_SHARE * all);
}

uint64_t teardown_find(const struct replay *replay)
{
    const struct timeline_row *rows = replay->timeline;
    if (!replay->timeline_count || replay->duration_ns < SHORTEST_NS || !replay->overview.has_end || replay->overview.end.reason != TRACE_END_EXIT)
        return TEARDOWN_NONE;
    uint32_t top = replay->timeline_count - 1;
    double end_bytes = (double)rows[top].block_bytes, duration_ns = (double)replay->duration_ns;
    for (uint32_t i = top; i-- > 0;) {
        double level = (double)rows[i].block_bytes, highest = (double)rows[top].block_bytes;
        if (level >= highest + RISE_SHARE * (highest - end_bytes) + 1)
            top = i;
        else if (level < highest - RISE_SHARE * (highest - end_bytes) || is_pause_over(replay, &rows[i], &rows[top]))
            break;
    }
    double fall = (double)rows[top].block_bytes - end_bytes;
    if (fall < FALL_SHARE * (double)rows[top].block_bytes || (double)rows[top].time_ns < (1 - LONGEST_SHARE) * duration_ns)
        return TEARDOWN_NONE;
    return rows[top].time_ns;
}

uint32_t teardown_last_window(const struct replay *replay)
{
    uint32_t last = replay->window_count ? replay->window_count - 1 : 0;
    while (last && replay->teardown_ns != TEARDOWN_NONE && replay->windows[last].end_time_ns > replay->teardown_ns)
        last--;
    return last;
}
