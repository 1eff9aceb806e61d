/* Receives what forked children of the target send: where the parent's threads stood at the fork, and the memory of the child's own
 * session.
 *
 * Letters wait here until it is their turn: forks are served in the order of their sequence numbers. One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_FORK_SERVER_H
#define HEAPLINE_COLLECTOR_FORK_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "session.h"
#include "target_process.h"

/* A child that hasn't sent its letter after so long never will. */
#define FORK_WAIT_NS 2000000000ull
#define FORK_MAX_LETTERS 64

struct fork_letter {
    int memfd;
    int memory_file; /* of the child's memory (slot_table.h); -1: none */
    int child_pid;
    int child_pidfd; /* -1: an older kernel than Linux 6.5 */
    struct session_fork_message message;
    uint64_t cursors[SESSION_MAX_THREADS];
};

struct fork_server {
    int socket;                 /* listening; -1: none */
    const struct target_process *target;
    uint64_t secret;            /* letters without it are thrown away */
    uint32_t next_sequence;     /* the lowest that may still be served */
    uint64_t waiting_since_ns;  /* for letters that are due; 0: none is */
    uint32_t waiting_sequence;  /* the highest fork that had begun then */
    uint32_t letter_count;
    struct fork_letter *letters[FORK_MAX_LETTERS]; /* by sequence */
};

/* Listen at a random abstract address, which the session is told, and what to say there: the address alone can be seen by anybody, and the target
 * may have become another user. Without a socket forks can't be followed: that is no error, the address stays empty. */
void fork_server_init(struct fork_server *server, struct session_header *session, const struct target_process *target);
/* Close everything; letters that wait are thrown away. */
void fork_server_done(struct fork_server *server);

/* Take the letters that have arrived; wait for one for so many ms at most. */
void fork_server_receive(struct fork_server *server, int timeout_ms);

/* Take the waiting letter with the lowest sequence out. The caller closes its memfd and frees it. NULL: none. */
struct fork_letter *fork_server_take(struct fork_server *server);
void fork_letter_free(struct fork_letter *letter);

/* Map a session that came as a memfd; a spare page follows it, so that looking a few words ahead is safe.
 * NULL: not a session, or no memory. */
struct session_header *session_map(int memfd);
void session_unmap(struct session_header *session);

#endif
