/* What offline code (trace, collector, analysis) returns: 0, or one of these negative numbers.
 * Stable: the CLI maps them to exit statuses and messages. Results go through ret_ parameters, untouched on failure. */
#ifndef HEAPLINE_COMMON_STATUS_H
#define HEAPLINE_COMMON_STATUS_H

#include <stdint.h>

enum status {
    STATUS_OK = 0,
    STATUS_END = 1,              /* not an error: no further block or event */
    STATUS_NO_MEMORY = -1,
    STATUS_SYSTEM = -2,          /* a system call failed: errno says which way */
    STATUS_NOT_A_TRACE = -3,     /* the magic number is absent */
    STATUS_NEWER_VERSION = -4,   /* written by a heapline newer than this one */
    STATUS_CORRUPT = -5,         /* a checksum or a value is wrong: the error says at which byte offset */
    STATUS_TRUNCATED = -6,       /* the file ends within a block: what is before it is good */
    STATUS_TOO_LARGE = -7,       /* exceeds a limit of the format */
    STATUS_DATABASE = -8,        /* SQLite refused */
    STATUS_INVALID = -9,         /* the caller passed something unusable */
};

/* Where and why an input could not be read. Filled by the function that fails. */
struct status_detail {
    int status;              /* enum status */
    uint64_t offset;         /* byte offset in the file */
    char message[256];       /* one sentence, without a full stop */
};

#endif
