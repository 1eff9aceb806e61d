/* A survey of the Python objects on request (docs/objects.md): the target's part.
 *
 * The collector sets the session's survey_state; a thread that claims an epoch notices, and asks the interpreter for a safe point (a pending call,
 * which a thread of it makes between two bytecodes, with the GIL). There the objects are walked (object_walk.h), and the thread waits, for a
 * bounded time, until the collector has taken what was found: until then no object can go or come. */
#ifndef HEAPLINE_CAPTURE_OBJECT_SURVEY_H
#define HEAPLINE_CAPTURE_OBJECT_SURVEY_H

#include "recorder.h"

/* By a thread that records, in its slow way, once an epoch. Allocates nothing, waits for nothing. */
COLD void object_survey_schedule(void);

static inline void object_survey_notice(void)
{
    if (unlikely(atomic_load_explicit(&recorder_session->survey_state, memory_order_relaxed) == SURVEY_WANTED))
        object_survey_schedule();
}

#endif
