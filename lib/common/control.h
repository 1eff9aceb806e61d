/* What a command says to the collector of a running process, and what it is told.
 *
 * The collector listens at an abstract Unix socket of its own (SOCK_SEQPACKET): one request, one answer, then the connection is closed. The
 * name tells the process: CONTROL_NAME_PREFIX, its id, '-' and 16 random digits, so that nobody can take it beforehand; /proc/net/unix lists
 * it. Only the collector's own user and root are answered, and a client believes only the process's own user and root.
 *
 * A request is its header, and behind it the argument, if the verb takes one: text, not NUL-terminated. A file may come with it as ancillary
 * data. An answer is always whole.
 * A new verb: here, in collector_control.c, and a command that calls collector_ask (cli/collector_client.h). Nothing here allocates. */
#ifndef HEAPLINE_COMMON_CONTROL_H
#define HEAPLINE_COMMON_CONTROL_H

#include <stdint.h>

#define CONTROL_NAME_PREFIX "heapline-control-"
#define CONTROL_MAGIC 0x314c5443504c4548ull /* "HELPCTL1" */
#define CONTROL_PATH_BYTES 4200
#define CONTROL_ARGUMENT_BYTES 4096 /* at most */
#define CONTROL_TEXT_BYTES 1024

enum control_verb {
    CONTROL_START = 1, /* record from now on */
    CONTROL_STOP,      /* record no more */
    CONTROL_FLUSH,     /* write all that was recorded until now: the trace's first trace_bytes are whole, and stay as they are */
    CONTROL_STATUS,    /* how it is: text holds "key=value" lines */
    CONTROL_SNAPSHOT,  /* put a trace of all until now into the file that comes along, empty and open for writing; the answer comes when it is whole */
    CONTROL_OBJECTS,   /* the survey of its Python objects: begin, poll or cancel, and what is wanted (object_intake.h); text holds "key=value" lines */
    CONTROL_DETACH,    /* record no more and end the trace; the answer comes when it is whole. Only of a process that was attached to */
    CONTROL_ATTACH,    /* record again, into a trace of its own: the argument is its options, a line break, and its path */
    CONTROL_SAMPLE,    /* the argument is a number of bytes: sample with this mean from now on; 0: record everything. The text is then as of CONTROL_STATUS */
};

enum control_result {
    CONTROL_DONE = 1,
    CONTROL_ALREADY, /* it is so */
    CONTROL_UNKNOWN, /* no such verb */
    CONTROL_REFUSED, /* text says why: one sentence, without a full stop */
};

struct control_request_header {
    uint64_t magic;
    uint32_t verb; /* enum control_verb */
    uint32_t argument_bytes;
};

struct control_request {
    struct control_request_header header;
    char argument[CONTROL_ARGUMENT_BYTES];
};

struct control_answer {
    uint64_t magic;
    uint32_t result; /* enum control_result */
    uint32_t pid;
    char trace_path[CONTROL_PATH_BYTES]; /* NUL-terminated */
    char text[CONTROL_TEXT_BYTES];       /* NUL-terminated; empty unless the verb or result says otherwise */
    uint64_t trace_bytes;                /* CONTROL_FLUSH, CONTROL_STATUS: of the trace; CONTROL_SNAPSHOT: of the copy */
};

#endif
