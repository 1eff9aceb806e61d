/* The calling thread's own stack, as the kernel and libc made it: from a live stack pointer up to its end it can be read without asking.
 * Other stacks (signal stacks, coroutines, fibers) lie elsewhere, and may be gone any time.
 * Raw system calls; with busy set; never allocates; keeps errno. */
#ifndef HEAPLINE_CAPTURE_THREAD_STACK_H
#define HEAPLINE_CAPTURE_THREAD_STACK_H

#include <stdint.h>

struct thread_stack {
    uint64_t low, high; /* a stack pointer in [low, high) is on it, and everything from there to high is mapped */
};

/* The calling thread's own stack, if `stack_pointer` is on it. 0: it is on another stack, or nobody knows. `pthread_id`: its pthread_self().
 * Looks into /proc/self/maps for all but the process' first thread: some 100 us. */
int thread_stack_find(int is_first_thread, uint64_t pthread_id, uint64_t stack_pointer, struct thread_stack *ret_stack);

#endif
