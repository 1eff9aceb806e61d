/* What the stack half of lib/capture needs around it, for its unit tests: a session in plain memory, one thread state a thread, and the
 * definitions that were written, decoded. */
#ifndef HEAPLINE_TESTS_CAPTURE_FIXTURE_H
#define HEAPLINE_TESTS_CAPTURE_FIXTURE_H

#include "recorder.h"
#include "session.h"

/* A session without a collector. */
void capture_fixture_begin(void);
/* A state for the calling thread, busy as within a hook. */
struct thread_state *capture_fixture_thread(void);

/* The next definition that has not been taken yet, or NULL; the pointer is good until the ring is written again. */
const struct definition *capture_fixture_next(void);
void capture_fixture_discard(void);

#endif
