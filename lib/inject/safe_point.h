/* Finds a thread that can be made to load a library: it holds none of the locks that loading takes.
 *
 * Those are the C library's (malloc, its list of threads) and the loader's. Each is taken and given back within one call of these libraries, so
 * a thread that isn't in one, all along its stack, holds none; nor does one that waits in the kernel in a call which none of them makes
 * under such a lock: read, poll, nanosleep … Its stack is walked by call frame information, from outside. */
#ifndef HEAPLINE_INJECT_SAFE_POINT_H
#define HEAPLINE_INJECT_SAFE_POINT_H

#include "inject.h"
#include "process_maps.h"
#include "remote_symbols.h"
#include "tracee.h"

/* What must be known of the process; the caller's. */
struct safe_point_request {
    pid_t pid;
    int memory_file;
    const struct process_maps *maps;
    const struct mapped_file *libc;
    const struct remote_symbols *libc_symbols;
};

/* Try threads, those that wait first, until one is at a safe point: it is stopped then. Returns an enum tracee_status; TRACEE_BUSY: none came
 * to one within some seconds. */
int safe_point_find(const struct safe_point_request *request, struct tracee **ret_tracee);

#endif
