/* The least HTTP server that a scraper needs: GET of a path, one request a connection, one connection after the other.
 *
 * A client that is slow or says too much is dropped; nobody else waits longer than a second for it. One thread; allocates little. */
#ifndef HEAPLINE_CLI_METRICS_SERVER_H
#define HEAPLINE_CLI_METRICS_SERVER_H

#include <stddef.h>

struct metrics_server {
    int socket;
    char address[128]; /* where it listens, as ADDR:PORT */
};

/* Listen at "ADDR:PORT", "[ADDR]:PORT" or "PORT" (of localhost); port 0: any. Returns 0, -1 with errno, or -2: that is no address. */
int metrics_server_open(struct metrics_server *server, const char *address);
void metrics_server_close(struct metrics_server *server);

/* Wait so long at most for a request; milliseconds. Returns a connection and its path, or -1: none has come, or none that makes sense. */
int metrics_server_next(struct metrics_server *server, int timeout_ms, char *ret_path, size_t path_size);
/* Answer and hang up. */
void metrics_server_answer(int connection, int status, const char *content_type, const char *body, size_t body_bytes);

#endif
