/* The recorded process, seen from outside: is it gone, how did it end, is it another program by now, how much memory has it got.
 *
 * All of it through descriptors that are opened once, so that a process that takes over its number later is never mistaken for it.
 * One thread; allocates when it is opened. */
#ifndef HEAPLINE_COLLECTOR_TARGET_PROCESS_H
#define HEAPLINE_COLLECTOR_TARGET_PROCESS_H

#include <stddef.h>
#include <stdint.h>

struct target_process {
    int pid;
    int pidfd;       /* -1: it was gone already */
    int folder;      /* /proc/PID */
    int maps_file;   /* bound to the memory of the program image that was running when it was opened; -1: not permitted */
    int statm_file;
    int was_another; /* the image that shares the session was gone already */
    uint64_t page_bytes;
};

/* pidfd: one of the process (then ours to close), -1: there is none yet. The program image meant is the one that has mapped the memfd of
 * this inode number. */
void target_process_open(struct target_process *target, int pid, int pidfd, uint64_t session_inode);
void target_process_close(struct target_process *target);

/* Wait until it is gone, for so many ms at most; 0: only look. Returns 1: gone. */
int target_process_wait(const struct target_process *target, int timeout_ms);

/* 1: another program runs in it now (exec). */
int target_process_has_execed(const struct target_process *target);

/* The status as wait(2) gives it, once the process is gone. Returns 1, or 0: nobody lets us know. */
int target_process_status(const struct target_process *target, int *ret_status);

/* Resident bytes; 0: can't be read. */
uint64_t target_process_rss_bytes(const struct target_process *target);

/* Contents of a file in /proc/PID, NUL-terminated. Returns the number of bytes, -1: can't be read. */
long target_process_read(const struct target_process *target, const char *name, char *text, size_t capacity);
/* Where a link in /proc/PID leads to, NUL-terminated. Returns its length, -1: can't be read. */
long target_process_link(const struct target_process *target, const char *name, char *text, size_t capacity);

#endif
