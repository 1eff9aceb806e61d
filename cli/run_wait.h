/* Waiting for the collector: it is not our child, and it may begin and end after the program does. What tells of it is the trace itself
 * (which it keeps locked while it writes) and its process, whose environment names the run's session. */
#ifndef HEAPLINE_CLI_RUN_WAIT_H
#define HEAPLINE_CLI_RUN_WAIT_H

#include <stdint.h>

enum run_trace_state {
    RUN_TRACE_DONE,
    RUN_TRACE_MISSING,  /* nobody wrote one, and nobody is about to */
    RUN_TRACE_BUSY,     /* still locked, though nothing was written for a minute */
};

struct run_trace {
    enum run_trace_state state;
    int is_whole;           /* it has its end block */
    int64_t file_bytes;
};

/* The program has ended: wait until its trace at `path` is finished. Says so on stderr when that takes longer than two seconds. */
void run_wait(const char *path, const char *session, struct run_trace *ret_trace);

/* Then wait for the traces of the run's other processes that have ended. Returns how many are still being written: of processes that run
 * on. */
int run_wait_others(const char *path, const char *session);

#endif
