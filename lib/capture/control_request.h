/* The target asks its own collector to record, or to record no more: what `heapline start` and `stop` do from outside (control.h).
 * From outside of our hooks; system calls, no allocation; waits for the answer for a bounded time. Keeps errno. */
#ifndef HEAPLINE_CAPTURE_CONTROL_REQUEST_H
#define HEAPLINE_CAPTURE_CONTROL_REQUEST_H

#include "control.h"

/* CONTROL_START or CONTROL_STOP. Returns 1: it is so; 0: there is no collector, or it doesn't answer. */
int control_request(enum control_verb verb);

#endif
