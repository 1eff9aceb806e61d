/* Ring space: which 64 KiB units of the session's ring area belong to whom, and a thread's room in its ring.
 * Cold: entered when a ring's checkpoint is reached, which is at most every quarter of a ring. With busy set; one lock. */
#ifndef HEAPLINE_CAPTURE_RING_H
#define HEAPLINE_CAPTURE_RING_H

#include "thread_state.h"

/* Words that are free at `cursor` whenever it is not beyond `limit`: a RUN, a THREAD, a SAMPLING and the longest event, or a JUMP. */
#define RING_RESERVE_WORDS (2 * EVENT_MAX_WORDS)

/* Give a new thread its first ring. 0: the ring space is exhausted. */
int ring_start(struct thread_state *thread);

/* Make sure that RING_RESERVE_WORDS are free at the cursor: look how far the collector has come, wrap, grow, or wait for it for a
 * bounded time. 0: no room. */
int ring_make_room(struct thread_state *thread);

/* Events that lie in the thread's ring and were not taken. Approximate while the thread runs. */
uint64_t ring_backlog_events(const struct thread_state *thread);

void ring_after_fork(void); /* in the child: all ring space is free */

#endif
