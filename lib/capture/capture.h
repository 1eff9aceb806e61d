/* The recorder's life in a process: start at the first event or in the constructor, whichever comes first; fork; exec; exit. */
#ifndef HEAPLINE_CAPTURE_CAPTURE_H
#define HEAPLINE_CAPTURE_CAPTURE_H

#include "attach.h"

/* Create the session, once. 1: recorder_session is there. Safe inside the first malloc of the process. `settings`: see session_start. */
int capture_start(const struct attach_settings *settings);
/* The same, with all that has to be set up before threads can record, but for what leads calls to the hooks. */
int capture_start_late(const struct attach_settings *settings);

#endif
