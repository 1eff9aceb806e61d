/* What a target says to a process that completes its trace, because its collector was killed (trace_epilogue.h).
 *
 * A memfd that the target creates and the process has as file 3, like a session's; told apart by its length. */
#ifndef HEAPLINE_COMMON_EPILOGUE_H
#define HEAPLINE_COMMON_EPILOGUE_H

#include <stdatomic.h>
#include <stdint.h>

#include "session.h"

#define EPILOGUE_MAGIC 0x4755474f4c495045ull /* "EPILOGUG" */

struct epilogue {
    uint64_t magic;
    uint64_t session_id;
    uint64_t handed_events; /* that the collector had taken from the rings */
    uint64_t lost_events;   /* what was left in them, and what was counted since */
    uint32_t pid;
    _Atomic uint32_t done;  /* futex; written by the process */
    char trace_path[SESSION_PATH_BYTES];
};

#endif
