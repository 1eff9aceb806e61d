/* Copies a finished trace and puts properties into the copy: blocks of definitions alone, behind the last block of events and so before
 * tallies and the end block, whose sequence numbers rise (docs/trace_format.md). One thread; allocates a block at a time. */
#ifndef HEAPLINE_TRACE_TRACE_INSERT_H
#define HEAPLINE_TRACE_TRACE_INSERT_H

#include <stddef.h>

#include "status.h"

struct trace_property {
    const char *key, *value; /* values longer than 1 MiB are cut */
};

/* `to`: an open, empty file of the caller's. What is damaged in the trace, and what is behind that, is not copied.
 * Returns 0, what trace_reader_open returns, STATUS_NO_MEMORY, or STATUS_SYSTEM (errno). */
int trace_insert_properties(const char *path, int to, const struct trace_property *properties, size_t count, struct status_detail *detail);

#endif
