/* Messages and endings: see message.h. */
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_message(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("heapline: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
}

void fail(enum cli_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    exit(status);
}

void fail_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try 'heapline %s%s--help'.\n", command ? command : "", command ? " " : "");
    exit(CLI_USAGE);
}

/* What the library found, or the system's own words. */
static const char *reason(const struct status_detail *detail, int saved_errno)
{
    if (detail->message[0])
        return detail->message;
    return saved_errno ? strerror(saved_errno) : "no reason given";
}

void fail_trace(const char *path, int status, const struct status_detail *detail)
{
    int saved_errno = errno;
    switch (status) {
    case STATUS_SYSTEM:
        if (saved_errno == ENOENT)
            fail(CLI_INPUT, "there is no trace at '%s': give the path that 'heapline run' named at its end", path);
        fail(CLI_INPUT, "cannot read '%s': %s", path, reason(detail, saved_errno));
    case STATUS_NOT_A_TRACE:
        fail(CLI_INPUT, "'%s' is not a heapline trace: give the file that 'heapline run -o PATH' wrote", path);
    case STATUS_NEWER_VERSION:
        fail(CLI_INPUT, "'%s' was written by a newer heapline: read it with that one, or update this one", path);
    case STATUS_CORRUPT:
    case STATUS_TRUNCATED:
    case STATUS_TOO_LARGE:
        fail(CLI_INPUT, "'%s' is damaged at byte %llu: %s", path, (unsigned long long)detail->offset, reason(detail, 0));
    case STATUS_DATABASE:
        fail(CLI_INPUT, "no report of '%s' can be made: %s; 'heapline report --rebuild' replays the trace again", path, reason(detail, 0));
    case STATUS_NO_MEMORY:
        fail(CLI_SYSTEM, "not enough memory to replay '%s'", path);
    default:
        fail(CLI_INPUT, "cannot read '%s': %s", path, reason(detail, 0));
    }
}
