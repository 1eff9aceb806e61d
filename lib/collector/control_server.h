/* Receives what commands ask of the collector while the target runs (control.h).
 *
 * Consumes connections from the target's own user and root; others are closed unread. Never waits: a client that says nothing is dropped
 * after a second, and meanwhile the collector goes on. One thread; never allocates. */
#ifndef HEAPLINE_COLLECTOR_CONTROL_SERVER_H
#define HEAPLINE_COLLECTOR_CONTROL_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "control.h"

struct control_server {
    int socket;         /* listening; -1: none */
    int connection;     /* the client that is being served; -1: none */
    uint64_t expiry_ns; /* when its patience ends, CLOCK_MONOTONIC */
    int file;           /* came with the request that is being served; -1: none */
    char argument[CONTROL_ARGUMENT_BYTES + 1]; /* of the latest request */
};

/* Listen for requests about this process, at an address that is written to `address` (abstract, NUL-terminated). Without a socket the
 * collector can't be asked anything: that is no error, the address stays empty. */
void control_server_init(struct control_server *server, uint32_t pid, char *address, size_t capacity);
void control_server_done(struct control_server *server);

/* The verb of a request that has arrived, and its argument, NUL-terminated, valid until the next call; 0: none has. It is to be answered before
 * the next is asked for. */
uint32_t control_server_next(struct control_server *server, uint64_t now_ns, const char **ret_argument);
/* The file that came with it, which is closed with the answer; -1: none. */
int control_server_file(const struct control_server *server);
void control_server_answer(struct control_server *server, const struct control_answer *answer);

/* Sleep until the process of this pidfd (-1: none) has ended, somebody asks something, or so much time has passed. */
void control_server_wait(const struct control_server *server, int pidfd, int timeout_ms);

/* A copy of this process answers instead: it listens no more, and the other one has nothing to answer. */
void control_server_stop_listening(struct control_server *server);
void control_server_hang_up(struct control_server *server);

#endif
