/* The replay of a trace that is still being written: what is live now, by line, and how it came there.
 *
 * Consumes blocks as they come to the file; produces the same figures as the replay of a trace that ended there would (replay.h, line_report.h).
 * Figures that need the whole run in advance are missing: the snapshot at the high-water mark (its level is there), windows, ages of blocks.
 * Memory in proportion to live blocks and distinct stacks. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_LIVE_REPLAY_H
#define HEAPLINE_ANALYSIS_LIVE_REPLAY_H

#include "line_report.h"

struct live_replay;

/* Returns 0, what trace_reader_open returns, or STATUS_NO_MEMORY. */
int live_replay_open(const char *trace_path, struct live_replay **ret_live, struct status_detail *detail);
void live_replay_close(struct live_replay *live);

/* Look how far the file goes now. Returns 0, STATUS_SYSTEM, or STATUS_CORRUPT where old parts of a rotated trace have made room: it can be opened
 * again. */
int live_replay_follow(struct live_replay *live, struct status_detail *detail);
int live_replay_is_rotated(const struct live_replay *live);
/* Replay the next block: 0, STATUS_END where there is none yet, or an error, after which there will be none any more. */
int live_replay_step(struct live_replay *live, struct status_detail *detail);
/* How much of the file, as it was when live_replay_follow looked, is replayed: 0 to 1. */
double live_replay_done(const struct live_replay *live);

/* Give names to the places that have come since the last time. Returns 0 or STATUS_NO_MEMORY. */
int live_replay_name(struct live_replay *live, const struct symbol_sources *sources, frames_progress *progress, void *context);

/* The totals as of the last block; overview.has_end tells whether the trace has ended. Its timeline has at most REPLAY_TIMELINE_ROWS rows: of
 * a long run fewer and wider ones. Valid until the next step. */
const struct replay *live_replay_sum(struct live_replay *live);
/* Lines with their own figures, to be given back by line_report_done before the next step. What live_replay_name has not seen yet is
 * not in it: call that first. Returns 0 or STATUS_NO_MEMORY. */
int live_replay_lines(const struct live_replay *live, struct line_report *ret_report);

/* Of the last block: when, and what the resident set was (0: not known yet). */
uint64_t live_replay_time_ns(const struct live_replay *live);
uint64_t live_replay_rss_bytes(const struct live_replay *live);

#endif
