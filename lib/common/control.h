/* What a command says to the collector of a running process, and what it is told.
 *
 * The collector listens at an abstract Unix socket of its own (SOCK_SEQPACKET): one request, one answer, then the connection is closed. The
 * name tells the process: CONTROL_NAME_PREFIX, its id, '-' and 16 random digits, so that nobody can take it beforehand; /proc/net/unix lists
 * it. Only the collector's own user and root are answered, and a client believes only the process's own user and root.
 * Nothing here allocates. */
#ifndef HEAPLINE_COMMON_CONTROL_H
#define HEAPLINE_COMMON_CONTROL_H

#include <stdint.h>

#define CONTROL_NAME_PREFIX "heapline-control-"
#define CONTROL_MAGIC 0x314c5443504c4548ull /* "HELPCTL1" */
#define CONTROL_PATH_BYTES 4200

enum control_verb {
    CONTROL_START = 1, /* record from now on */
    CONTROL_STOP,      /* record no more */
};

enum control_result {
    CONTROL_DONE = 1,
    CONTROL_ALREADY, /* it is so */
    CONTROL_UNKNOWN, /* no such verb */
};

struct control_request {
    uint64_t magic;
    uint32_t verb; /* enum control_verb */
    uint32_t reserved;
};

struct control_answer {
    uint64_t magic;
    uint32_t result; /* enum control_result */
    uint32_t pid;
    char trace_path[CONTROL_PATH_BYTES]; /* NUL-terminated */
};

#endif
