/* What `heapline attach` says to the library that it has loaded into a running process, and what it is told.
 *
 * The command stops one thread of the process, has it load libheapline.so, and has it call heapline_attach with a settings block that lies in
 * memory of its own (lib/inject). A process that was started by others has none of our variables in its environment. */
#ifndef HEAPLINE_COMMON_ATTACH_H
#define HEAPLINE_COMMON_ATTACH_H

#include <stdint.h>

#include "session.h"

#define ATTACH_MAGIC 0x314841504c454548ull
#define ATTACH_FUNCTION "heapline_attach"
#define DETACH_FUNCTION "heapline_detach"

struct attach_settings {
    uint64_t magic;
    uint64_t bytes;                        /* sizeof(struct attach_settings): library and command are of one version */
    uint64_t session_id;
    char options[SESSION_OPTIONS_BYTES];   /* as HEAPLINE_OPTIONS */
    char output_path[SESSION_PATH_BYTES];  /* as HEAPLINE_OUTPUT */
    char collector_path[SESSION_PATH_BYTES]; /* as HEAPLINE_COLLECTOR; empty: beside the library */
};

enum attach_result {
    ATTACH_STARTED = 1,    /* a session has begun: its collector opens a trace */
    ATTACH_AGAIN = 2,      /* the hooks are back in place; the collector that there is can begin another trace */
    ATTACH_ALREADY = 3,    /* they were in place */
    ATTACH_PRELOADED = 4,  /* the library was preloaded: `start` and `stop` are for such a process */
    ATTACH_FORKED = 5,     /* a child of a process that was attached to, which does not record: it has no collector */
    ATTACH_REFUSED = 6,    /* the system gave no memory or started no collector */
    ATTACH_OTHER_VERSION = 7,
    DETACH_DONE = 8,
    DETACH_NOTHING = 9,    /* no hooks were in place */
};

#endif
