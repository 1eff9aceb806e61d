/* Writes definitions (session.h) into the session's definition ring, in order, complete before the caller goes on.
 * Waits for the collector when the ring is full, for a bounded time; then gives up for good and counts lost definitions.
 * Any thread, with busy set; one lock. */
#ifndef HEAPLINE_CAPTURE_DEFINITIONS_H
#define HEAPLINE_CAPTURE_DEFINITIONS_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"

/* One record: a fixed part, then up to two pieces of bytes. Each record at most 128 KiB (the caller splits line tables).
 * Returns 1, or 0 when it had to be dropped. */
int definitions_write(enum definition_type type, const void *fixed, size_t fixed_bytes, const void *first, size_t first_bytes,
                      const void *second, size_t second_bytes);

/* Around a fork: hold the ring still, so that its head is a consistent point. */
void definitions_lock(void);
void definitions_unlock(void);
void definitions_after_fork(void); /* in the child: forget the lock; the ring is the new session's, empty */

#endif
