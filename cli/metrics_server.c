/* See metrics_server.h. */
#include "metrics_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BACKLOG 16
#define REQUEST_BYTES 8192
#define PATIENCE_MS 1000

/* ---- listening ---- */

/* "ADDR:PORT", "[ADDR]:PORT", "PORT" into its parts. Returns 0: it is none. */
static int split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    const char *port_text = colon ? colon + 1 : address;
    size_t host_bytes = colon ? (size_t)(colon - address) : 0;
    char *end;
    long number = strtol(port_text, &end, 10);
    if (end == port_text || *end || number < 0 || number > 65535 || host_bytes >= host_size)
        return 0;
    snprintf(port, port_size, "%ld", number);
    if (host_bytes > 2 && address[0] == '[' && colon[-1] == ']')
        snprintf(host, host_size, "%.*s", (int)host_bytes - 2, address + 1);
    else
        snprintf(host, host_size, "%.*s", (int)host_bytes, address);
    if (!*host)
        snprintf(host, host_size, "127.0.0.1");
    return 1;
}

static int listen_at(const struct addrinfo *found)
{
    int one = 1, file = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (file < 0)
        return -1;
    setsockopt(file, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(file, found->ai_addr, found->ai_addrlen) == 0 && listen(file, BACKLOG) == 0)
        return file;
    int error = errno;
    close(file);
    errno = error;
    return -1;
}

static void name_address(struct metrics_server *server)
{
    struct sockaddr_storage own;
    socklen_t bytes = sizeof own;
    char host[64] = "", port[16] = "";
    getsockname(server->socket, (struct sockaddr *)&own, &bytes);
    getnameinfo((struct sockaddr *)&own, bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(server->address, sizeof server->address, own.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

int metrics_server_open(struct metrics_server *server, const char *address)
{
    char host[256], port[16];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
    if (!split(address, host, sizeof host, port, sizeof port) || getaddrinfo(host, port, &hints, &found) != 0)
        return -2;
    server->socket = -1;
    for (const struct addrinfo *at = found; at && server->socket < 0; at = at->ai_next)
        server->socket = listen_at(at);
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    if (server->socket < 0)
        return -1;
    name_address(server);
    return 0;
}

void metrics_server_close(struct metrics_server *server)
{
    close(server->socket);
}

/* ---- requests ---- */

/* The whole head of a request, NUL-terminated. Returns 0: too long, too slow, or cut. */
static int read_head(int connection, char *text, size_t size)
{
    size_t used = 0;
    while (used < size - 1) {
        ssize_t count = recv(connection, text + used, size - 1 - used, 0);
        if (count <= 0)
            return 0;
        used += (size_t)count;
        text[used] = '\0';
        if (strstr(text, "\r\n\r\n") || strstr(text, "\n\n"))
            return 1;
    }
    return 0;
}

/* "GET /metrics?x HTTP/1.1" gives "/metrics". Returns the status that it deserves otherwise, 0: none. */
static int parse_head(const char *text, char *path, size_t path_size)
{
    const char *start = strchr(text, ' '), *end = start ? strpbrk(start + 1, " \r\n") : NULL;
    if (!end || *end != ' ' || strncmp(end + 1, "HTTP/1.", 7) != 0)
        return 400;
    if (strncmp(text, "GET ", 4) != 0)
        return 405;
    size_t bytes = strcspn(start + 1, "? ");
    if (bytes >= path_size)
        return 400;
    memcpy(path, start + 1, bytes);
    path[bytes] = '\0';
    return 0;
}

int metrics_server_next(struct metrics_server *server, int timeout_ms, char *ret_path, size_t path_size)
{
    char head[REQUEST_BYTES];
    struct pollfd arrival = {.fd = server->socket, .events = POLLIN};
    struct timeval patience = {.tv_sec = PATIENCE_MS / 1000, .tv_usec = PATIENCE_MS % 1000 * 1000};
    if (poll(&arrival, 1, timeout_ms) != 1)
        return -1;
    int connection = accept4(server->socket, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return -1;
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (!read_head(connection, head, sizeof head)) {
        close(connection);
        return -1;
    }
    int status = parse_head(head, ret_path, path_size);
    if (!status)
        return connection;
    metrics_server_answer(connection, status, "text/plain", "", 0);
    return -1;
}

static const char *reason(int status)
{
    return status == 200 ? "OK" : status == 404 ? "Not Found" : status == 405 ? "Method Not Allowed" : status == 400 ? "Bad Request" : "Error";
}

static int send_all(int connection, const char *text, size_t bytes)
{
    while (bytes) {
        ssize_t sent = send(connection, text, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return 0;
        text += sent;
        bytes -= (size_t)sent;
    }
    return 1;
}

void metrics_server_answer(int connection, int status, const char *content_type, const char *body, size_t body_bytes)
{
    char head[256];
    int head_bytes = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                              reason(status), content_type, body_bytes);
    if (send_all(connection, head, (size_t)head_bytes))
        send_all(connection, body, body_bytes);
    close(connection);
}
