/* Completes a trace that its writer could not go on with, because it was killed or had no space left: says in it why it is cut, and how many
 * events are missing.
 *
 * Consumes a file that ends with its last whole block, or with a part of another; appends a block of a property and a figure. The trace has no
 * end block afterwards either, as nobody knows how the process ends. Where events are added up the block is a tally of no time, in which nothing
 * happens. Where old parts make room (rotated traces) the last part goes on with it, in space that no part has. One thread; allocates. */
#ifndef HEAPLINE_TRACE_TRACE_EPILOGUE_H
#define HEAPLINE_TRACE_TRACE_EPILOGUE_H

#include <stdint.h>

#define TRACE_CUT_PROPERTY "cut" /* its value: why, a clause */

struct trace_epilogue {
    const char *reason;
    uint64_t handed_events; /* that the writer was given, by the last drain that ended: those that are not in the file are lost … */
    uint64_t lost_events;   /* … and these, but for those that the drain under way has brought into the file */
};

/* `file`: open for reading and writing; not of a rotated trace. May be done again, with larger figures. Returns 0, STATUS_INVALID (it can't be completed),
 * STATUS_NO_MEMORY or STATUS_SYSTEM (errno): then the file ends with its last whole block. */
int trace_epilogue_write(int file, const struct trace_epilogue *epilogue);
/* The same, of a rotated one too, but only if it is this process's trace, of this session; else STATUS_INVALID, or what is wrong with its header. */
int trace_epilogue_write_of(int file, uint64_t session_id, uint32_t pid, const struct trace_epilogue *epilogue);

#endif
