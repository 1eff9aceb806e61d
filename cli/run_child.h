/* Starts the recorded program, stands aside while it runs, and ends as it ended. */
#ifndef HEAPLINE_CLI_RUN_CHILD_H
#define HEAPLINE_CLI_RUN_CHILD_H

#include <sys/types.h>

struct run_environment {
    const char *library;   /* absolute path of libheapline.so */
    const char *output;    /* absolute; NULL: run_output_default of `name` */
    const char *name;
    const char *options;   /* HEAPLINE_OPTIONS */
    const char *session;   /* HEAPLINE_SESSION: 16 hexadecimal digits */
};

/* Fork and exec. From here on, this process ignores the terminal's signals and forwards what is sent to it alone.
 * Exits with status 2 where it is no program, 4 where the system refuses. */
pid_t run_child_start(const char *path, char **arguments, const struct run_environment *environment);

/* Wait until it has ended, without reaping it: the collector can still read how. */
void run_child_await(pid_t child);

/* Reap it. Returns its wait status. */
int run_child_reap(pid_t child);

/* End as it did: the same exit status, or the same signal without a core dump of our own. */
_Noreturn void run_child_end_like(int wait_status);

#endif
