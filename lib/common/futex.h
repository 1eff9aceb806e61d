/* Sleep on and wake a 32-bit word, across processes. Raw system calls: no libc state, errno kept by the callers that need it.
 * Callable from anywhere, signal handlers included. */
#ifndef HEAPLINE_COMMON_FUTEX_H
#define HEAPLINE_COMMON_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Sleep until woken, until *word differs from expected, or for at most timeout_ns. May return early. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000ull), (long)(timeout_ns % 1000000000ull)};
    syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

static inline void futex_wake(_Atomic uint32_t *word, int sleepers)
{
    syscall(SYS_futex, word, FUTEX_WAKE, sleepers, NULL, NULL, 0);
}

#endif
