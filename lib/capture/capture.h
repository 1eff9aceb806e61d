/* The recorder's life in a process: start at the first event or in the constructor, whichever comes first; fork; exec; exit. */
#ifndef HEAPLINE_CAPTURE_CAPTURE_H
#define HEAPLINE_CAPTURE_CAPTURE_H

/* Create the session, once. 1: recorder_session is there. Safe inside the first malloc of the process. */
int capture_start(void);

#endif
