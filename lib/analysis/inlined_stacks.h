/* Gives inlined calls their own levels in the tree of stacks.
 *
 * A trace knows return addresses; where calls were inlined, an address stands for several frames. The stack keeps its id and becomes that of
 * the innermost one; its callers by inlining become stacks behind those of the trace (so a caller's id is not always the lower one).
 * One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_INLINED_STACKS_H
#define HEAPLINE_ANALYSIS_INLINED_STACKS_H

#include "frames.h"
#include "replay.h"

/* Returns 0 or STATUS_NO_MEMORY. Touches nothing where nothing was inlined. */
int inlined_stacks_add(struct replay *replay, const struct frame_table *frames);

#endif
