/* What each stack allocated and held by thread, which the report database doesn't know: from a pass of its own over the trace. Nothing of a
 * process with one thread, or of a trace that doesn't list all its events (it reached its size bound, or was rotated). Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_THREAD_USES_H
#define HEAPLINE_CLI_THREAD_USES_H

#include "summary.h"

struct thread_use {
    uint32_t stack_id, thread_id;
    int64_t allocations, allocated_bytes, peak_allocations, peak_bytes, live_allocations, live_bytes;
};

struct thread_uses {
    struct thread_use *rows; /* by stack, then by thread */
    size_t count;
};

void thread_uses_load(const char *trace, sqlite3 *database, const struct summary *summary, struct thread_uses *ret_uses);
void thread_uses_free(struct thread_uses *uses);

/* The first row of a stack, and how many it has. */
size_t thread_uses_of(const struct thread_uses *uses, int64_t stack_id, const struct thread_use **ret_rows);

#endif
