/* Keep the calling thread's signal handlers out while it holds a lock that a handler's own allocation, or fork, would ask for.
 * Raw system calls, cold paths only. glibc's own fork blocks all signals around the clone, too. Keeps errno unless the kernel refuses. */
#ifndef HEAPLINE_CAPTURE_SIGNALS_H
#define HEAPLINE_CAPTURE_SIGNALS_H

#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline uint64_t signals_block(void)
{
    uint64_t all = ~0ull, old = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, &old, sizeof old);
    return old;
}

static inline void signals_restore(uint64_t old)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof old);
}

#endif
