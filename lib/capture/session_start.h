/* Creates this process's session (the memory shared with its collector) and starts the collector. Cold; raw system calls only, so that it
 * works inside the process's very first malloc. One thread at a time. */
#ifndef HEAPLINE_CAPTURE_SESSION_START_H
#define HEAPLINE_CAPTURE_SESSION_START_H

#include "attach.h"
#include "session.h"

/* A session for a process image that starts now: read the environment, create and map the memfd, start the collector with it.
 * `settings`: what a command has asked for, whatever the environment says; NULL: the environment counts.
 * NULL when the system refuses (seccomp, limits): the process then runs unrecorded. */
struct session_header *session_start(const struct attach_settings *settings);

/* A session for a forked child, like its parent's; its memfd stays open in *ret_memfd, to be sent to the parent's collector. */
struct session_header *session_start_forked(const struct session_header *parent, int *ret_memfd);

/* A memfd of so many bytes; -1: the system refuses, or its size would be beyond RLIMIT_FSIZE. */
int session_memory_create(uint64_t bytes);

/* Run the collector's program once more, for an epilogue (epilogue.h). 1 when it was started. */
int collector_start_again(int memfd, struct session_header *session);

/* Run `heapline-collector` in a process that no one but init will ever wait for. 1 when it was started. memory: a file of the target's, -1: none
 * (dormant.h). */
int collector_spawn(int memfd, int memory, struct session_header *session, const char *const *environment, const char *override_path);

/* It has given up, or is no more. System calls. */
int collector_died(struct session_header *session);

/* Sleep until the collector of the session has opened its trace, or has given up; for at most some seconds. */
void collector_await(struct session_header *session);

#endif
