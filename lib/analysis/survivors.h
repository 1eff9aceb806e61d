/* How old are the blocks that are live? Of each stack, how many bytes were allocated in each eighth of the run, as of the end of a window.
 *
 * What leaks survives from all of the run; what turns over is young. Counted by looking at every live block, but not more often than
 * the events are worth it: with many blocks not at every window. Two counts are kept, because teardown (teardown.h) is known only afterwards:
 * the latest, and the last before live blocks began to get fewer. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_SURVIVORS_H
#define HEAPLINE_ANALYSIS_SURVIVORS_H

#include <stdint.h>

#define SURVIVOR_PARTS 8

struct survivor_row {
    uint64_t born_bytes[SURVIVOR_PARTS];
};

struct survivors {
    uint32_t *ids;             /* by use: its row; 0: it held nothing */
    uint32_t use_count;
    struct survivor_row *rows; /* from 1 */
    uint64_t block_bytes;
    uint32_t window_id;
    int taken;
};

struct survivor_log {
    struct survivors latest, before_fall;
    uint64_t event_count;      /* when `latest` was taken */
};

struct replay_state;

void survivors_done(struct survivors *survivors);
void survivor_log_done(struct survivor_log *log);

/* A window has ended. `must`: count in any case. Returns 0 or STATUS_NO_MEMORY. */
int survivor_log_window(struct replay_state *state, uint32_t window_id, int must);

/* The last count up to a window's end; NULL: there is none. */
const struct survivors *survivor_log_find(const struct survivor_log *log, uint32_t last_window_id);

/* Of a use; NULL: it held nothing. */
static inline const struct survivor_row *survivors_of(const struct survivors *survivors, uint32_t use_id)
{
    return use_id < survivors->use_count && survivors->ids[use_id] ? &survivors->rows[survivors->ids[use_id]] : 0;
}

#endif
