/* Loads a library into a process that is running, and calls functions of it there, without a debugger's help.
 *
 * One thread of the process is stopped (ptrace), where it certainly holds no lock that loading takes (safe_point.h); it makes the calls on a
 * stack of its own; then every register, its signal mask and the system call that it was in are as they were. All other threads go on.
 * Linux on x86-64. One thread; allocates; prints nothing. */
#ifndef HEAPLINE_INJECT_INJECT_H
#define HEAPLINE_INJECT_INJECT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum inject_status {
    INJECT_DONE = 0,
    INJECT_REFUSED = -1, /* nothing was done to the process; the text says why */
    INJECT_NO_SAFE_POINT = -3, /* the same, at this time */
    INJECT_FAILED = -2,  /* the process goes on as before, but what was asked for has not happened; the text says why */
};

struct inject_detail {
    char text[512]; /* follows "process N "; empty where there is nothing to say */
};

struct injection;

/* Look whether it can be done, without touching the process: another user's, another architecture, static, musl, in another namespace,
 * confined, stopped, traced already … A program that is only just being started has a second to load its C library.
 * `library`: absolute path of the library. */
int inject_check(pid_t pid, const char *library, struct inject_detail *detail);

/* Stop a thread at a safe point. INJECT_DONE: `*ret_injection` has it; inject_end must follow. Signals of the calling process that would end it
 * are held back until then. */
int inject_begin(pid_t pid, struct injection **ret_injection, struct inject_detail *detail);
/* Let it go on. */
void inject_end(struct injection *injection);

/* Load the library, if it isn't there. */
int inject_load(struct injection *injection, const char *library, struct inject_detail *detail);
/* Call `int function(const void *argument)` of the loaded library with a copy of these bytes (NULL: without). */
int inject_call(struct injection *injection, const char *library, const char *function, const void *argument, size_t argument_bytes,
                int *ret_result, struct inject_detail *detail);

/* Is the library mapped into the process? */
int inject_has_library(pid_t pid, const char *library);

#endif
