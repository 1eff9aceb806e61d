/* Consumes native frames and the Python segments (python_stack.h) that stand in for some of them, produces nodes of the stack table.
 *
 * Which frame a segment stands in is told by its address, or, where the interpreter doesn't tell it, by counting activations of its loop.
 * With busy set; takes the definition lock for a new node; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_NODES_H
#define HEAPLINE_CAPTURE_NATIVE_NODES_H

#include <stdint.h>

#include "native_unwinder.h"

/* ---- segments ---- */

/* Segments from `first` on that stand at this address or further out; returns where they end. */
HOT_INLINE uint32_t native_segments_outside(const struct python_segments *segments, uint32_t first, uint64_t address)
{
    while (first < segments->count && segments->list[first].address >= address)
        first++;
    return first;
}

/* The outer segments whose place isn't known. */
uint32_t native_segments_unknown(const struct python_segments *segments);

/* Among these frames, those of the interpreter's loop where Python segments are told by counting them. */
COLD uint32_t native_segments_loops(const struct native_frame *frames, int32_t count);

/* Is this frame of the greenlet module, the last of so many fresh ones, the first of a greenlet? None of this stack's Python segments is known
 * to lie further out then. */
COLD int native_segments_begin_greenlet(const struct native_unwinder *unwinder, int32_t fresh_count);

/* ---- nodes: 0 where one can't be defined ---- */

/* Python frames of the segments [first, end), on top of `parent`. `hash`: of the stack that ends with the last one. */
uint32_t native_nodes_graft(const struct python_segments *segments, uint32_t first, uint32_t end, uint32_t parent, uint64_t hash);

/* What the native frames are on top of. Python frames whose place isn't known, or further out than the known native frames, come first: marked
 * as cut. */
uint32_t native_nodes_root(const struct python_segments *segments, uint32_t segment_end, int is_cut);

/* The frame with this return address. */
uint32_t native_nodes_frame(uint64_t address, const struct cfi_row *row, uint32_t parent, uint64_t hash);

#endif
