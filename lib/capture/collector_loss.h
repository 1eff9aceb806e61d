/* The collector was killed: the target has what it could not record counted, and a process of ours write that into the trace.
 *
 * Cold; system calls, no allocation. Any thread, with its busy flag set or at exit. */
#ifndef HEAPLINE_CAPTURE_COLLECTOR_LOSS_H
#define HEAPLINE_CAPTURE_COLLECTOR_LOSS_H

/* Say how much is lost so far. `wait`: until it is written, for a bounded time. Keeps errno. */
void collector_loss_write(int wait);

/* The same, at the end of the process or image, if its collector is dead; else nothing. */
void collector_loss_at_end(void);

#endif
