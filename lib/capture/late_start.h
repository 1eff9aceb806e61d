/* The library in a process that was running before it came: loaded by `heapline attach` instead of the loader's own start.
 *
 * Then nobody calls our functions by name; late_redirect.h leads the calls to them, and away again. The session stays for good: what is
 * detached is paused, with its collector asleep, and every thread's state is as it was when recording goes on (docs/attach.md). */
#ifndef HEAPLINE_CAPTURE_LATE_START_H
#define HEAPLINE_CAPTURE_LATE_START_H

#include "attach.h"

/* Has this library come after libc, in a dlopen? Decided once, by the constructor; 0 before it. */
INTERNAL int late_started;
/* From the constructor: look at the loader's list. Returns late_started. */
int late_start_find_out(void);

/* Called by the command, in a thread that it has stopped where it holds no lock of libc's or ours. Returns an enum attach_result. */
int heapline_attach(const struct attach_settings *settings);
int heapline_detach(void);

#endif
