/* fork, exec and exit: where a session begins, ends, or is passed on. */
#ifndef HEAPLINE_CAPTURE_PROCESS_HOOKS_H
#define HEAPLINE_CAPTURE_PROCESS_HOOKS_H

/* Register with libc's atfork and exit handlers. From the constructor. */
void process_hooks_init(void);

#endif
