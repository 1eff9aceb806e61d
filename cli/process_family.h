/* Running processes by /proc: whom one has started, and which process is meant by the id of `heapline run`. One thread; never allocates. */
#ifndef HEAPLINE_CLI_PROCESS_FAMILY_H
#define HEAPLINE_CLI_PROCESS_FAMILY_H

#include <sys/types.h>

/* The processes that any of its threads has started and that run still, first come first; `ret_pids` has room for `room`. Returns how many
 * there are, which can be more than that; 0 where this can't be read. */
int process_family_children(pid_t pid, pid_t *ret_pids, int room);

/* Is this `heapline run`, then the program that it has started, else the process itself: who starts a service in the background has the id of
 * `heapline run`. */
pid_t process_family_program(pid_t pid);

#endif
