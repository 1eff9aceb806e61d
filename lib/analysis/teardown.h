/* When did the program begin to tear itself down?
 *
 * An interpreter that ends frees its globals, many C programs free their tables: what leaked until then is gone at the trace's end. So
 * leaks are judged by what was live before. Teardown is the last stretch of the run in which the live blocks only get fewer;
 * the heap as a whole may follow late: arenas are given back when their last object is freed. */
#ifndef HEAPLINE_ANALYSIS_TEARDOWN_H
#define HEAPLINE_ANALYSIS_TEARDOWN_H

#include "replay.h"

/* Of a replay whose timeline is complete. Returns the time at which teardown began, or TEARDOWN_NONE: the program didn't end by itself, or
 * went as it was. */
uint64_t teardown_find(const struct replay *replay);

#define TEARDOWN_NONE UINT64_MAX

/* The last window that ended before teardown; without one, the last. */
uint32_t teardown_last_window(const struct replay *replay);

#endif
