/* What goes to stderr, and the exit statuses of the program. */
#ifndef HEAPLINE_CLI_MESSAGE_H
#define HEAPLINE_CLI_MESSAGE_H

#include "status.h"

enum cli_status {
    CLI_DONE = 0,
    CLI_EXCEEDED = 1,  /* a threshold that was asked for is exceeded */
    CLI_USAGE = 2,
    CLI_INPUT = 3,     /* the input cannot be read */
    CLI_SYSTEM = 4,    /* the system refused something */
};

/* "heapline: …" and a line break. */
void warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, then exit. What stdout holds so far is written. */
_Noreturn void fail(enum cli_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Wrong usage of a command (NULL: of heapline itself): the message, and where help is. */
_Noreturn void fail_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The trace at `path` could not be opened: says why and what to do. */
_Noreturn void fail_trace(const char *path, int status, const struct status_detail *detail);

#endif
