/* Where on the machine's stack the interpreter runs a thread's innermost Python frame: native frames further in were called by it. */
#ifndef HEAPLINE_CAPTURE_PYTHON_BOUNDARY_H
#define HEAPLINE_CAPTURE_PYTHON_BOUNDARY_H

#include <stdint.h>

#include "thread_state.h"

/* An address within the native frame of the evaluation loop that runs the state's innermost Python frame; 0: this version doesn't tell
 * (before 3.10). The state belongs to this thread, and its Python stack has just been captured. Raw reads only. */
uint64_t python_boundary(const struct thread_state *thread, const void *state);

#endif
