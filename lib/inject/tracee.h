/* One thread of another process, stopped by ptrace, that can be made to do system calls and calls of functions, and goes on afterwards as if
 * nothing had been.
 *
 * A system call in which it was waiting is begun anew by the kernel, as after any stop of a debugger's, when the registers are put back in a
 * stop that comes from an interrupt. Some calls (epoll_wait, receives with a time limit) report EINTR instead, although no signal has come:
 * those are begun anew by us. x86-64 only. */
#ifndef HEAPLINE_INJECT_TRACEE_H
#define HEAPLINE_INJECT_TRACEE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum tracee_status {
    TRACEE_DONE = 0,
    TRACEE_GONE = -1,     /* it has ended */
    TRACEE_DENIED = -2,   /* errno is that of PTRACE_SEIZE */
    TRACEE_BUSY = -3,     /* it did not stop in time, or the process is stopped */
    TRACEE_SIGNALLED = -4, /* a call ended with a fault; the thread is as it was */
    TRACEE_SYSTEM = -5,
};

struct tracee;

/* Stop this thread. On success it stays so until tracee_release. */
int tracee_stop(pid_t pid, pid_t tid, struct tracee **ret_tracee);
/* Everything as it was; the thread goes on. Frees. */
void tracee_release(struct tracee *tracee);

uint64_t tracee_instruction(const struct tracee *tracee);
/* The number of the system call that it was stopped in, -1: none. */
long tracee_syscall(const struct tracee *tracee);
/* Is it in the middle of a restartable sequence (rseq), which would go on in pieces? */
int tracee_in_sequence(const struct tracee *tracee, int memory_file);

/* Where a syscall instruction is in the process: needed before the following two. */
void tracee_use_instruction(struct tracee *tracee, uint64_t address);
/* Returns 0 and the kernel's answer, or an error. */
int tracee_do_syscall(struct tracee *tracee, long number, const uint64_t arguments[6], int64_t *ret_result);
/* Call a function with two arguments, on the stack that ends at stack_end. limit_ms: how long it may take. */
int tracee_call(struct tracee *tracee, uint64_t function, uint64_t first, uint64_t second, uint64_t stack_end, unsigned limit_ms,
                uint64_t *ret_result);

#endif
