/* Writes definitions (session.h) into the session's definition ring, in order, complete before the caller goes on.
 * Waits for the collector when the ring is full, for a bounded time; then gives up for good and counts lost definitions.
 *
 * One lock, the definition lock, guards the ring and the tables behind it (code_table.c, stack_table.c, module_table.c): what a table
 * holds and what the ring has been told never differ, so a fork that holds the lock finds both whole.
 * Any thread, with busy set; never allocates; keeps errno. */
#ifndef HEAPLINE_CAPTURE_DEFINITIONS_H
#define HEAPLINE_CAPTURE_DEFINITIONS_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"

/* Does the collector take no more, as its trace has no room? Then tables that they belong to stop growing. */
int definitions_are_closed(void);

/* One record: a fixed part, then up to two pieces of bytes. Each record at most 128 KiB (the caller splits line tables).
 * Takes the lock. Returns 1, or 0 when it had to be dropped. */
int definitions_write(enum definition_type type, const void *fixed, size_t fixed_bytes, const void *first, size_t first_bytes,
                      const void *second, size_t second_bytes);

/* The same, for callers that hold the lock. */
int definitions_append(enum definition_type type, const void *fixed, size_t fixed_bytes, const void *first, size_t first_bytes,
                       const void *second, size_t second_bytes);

/* The definition lock (owned_lock.h); also to be held around a fork. Returns 0: it can't be had, for its holder does not come back. */
int definitions_lock(void);
void definitions_unlock(void);
/* The hook that the calling thread was in has been jumped out of: it holds the lock no more. */
void definitions_recover(void);
void definitions_after_fork(void); /* in the child: forget the lock; the ring is the new session's, empty */

#endif
