/* See control_server.h. */
#include "control_server.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 8
#define PATIENCE_NS 1000000000ull

void control_server_init(struct control_server *server, uint32_t pid, char *address, size_t capacity)
{
    uint64_t random = 0;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    *server = (struct control_server){.connection = -1, .file = -1, .socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    address[0] = 0;
    if (server->socket < 0)
        return;
    int bytes = getrandom(&random, sizeof random, 0) == sizeof random
                    ? snprintf(name.sun_path + 1, sizeof name.sun_path - 1, CONTROL_NAME_PREFIX "%u-%016llx", pid, (unsigned long long)random)
                    : 0;
    socklen_t name_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
    if (bytes == 0 || bind(server->socket, (struct sockaddr *)&name, name_bytes) != 0 || listen(server->socket, BACKLOG) != 0)
        control_server_done(server);
    else
        snprintf(address, capacity, "%s", name.sun_path + 1);
}

void control_server_hang_up(struct control_server *server)
{
    if (server->connection >= 0)
        close(server->connection);
    if (server->file >= 0)
        close(server->file);
    server->connection = server->file = -1;
}

void control_server_stop_listening(struct control_server *server)
{
    if (server->socket >= 0)
        close(server->socket);
    server->socket = -1;
}

void control_server_done(struct control_server *server)
{
    control_server_hang_up(server);
    control_server_stop_listening(server);
}

static int is_allowed(int connection)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* Returns 1: somebody is there to be served. */
static int have_client(struct control_server *server, uint64_t now_ns)
{
    if (server->connection >= 0)
        return 1;
    if (server->socket < 0 || (server->connection = accept4(server->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) < 0)
        return 0;
    server->expiry_ns = now_ns + PATIENCE_NS;
    if (is_allowed(server->connection))
        return 1;
    control_server_hang_up(server);
    return 0;
}

static int is_whole(const struct control_request *request, size_t bytes)
{
    const struct control_request_header *header = &request->header;
    return bytes >= sizeof *header && header->magic == CONTROL_MAGIC && header->verb != 0 &&
           header->argument_bytes <= CONTROL_ARGUMENT_BYTES && bytes == sizeof *header + header->argument_bytes;
}

/* What has arrived, and the file that came with it. */
static ssize_t receive(struct control_server *server, struct control_request *request)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec text = {request, sizeof *request};
    /* Not its padding, in which the kernel would put a second file. */
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))};
    ssize_t bytes = recvmsg(server->connection, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = bytes > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&server->file, CMSG_DATA(header), sizeof server->file);
    return bytes;
}

uint32_t control_server_next(struct control_server *server, uint64_t now_ns, const char **ret_argument)
{
    struct control_request request;
    if (!have_client(server, now_ns))
        return 0;
    ssize_t bytes = receive(server, &request);
    if (bytes >= 0 && is_whole(&request, (size_t)bytes)) {
        memcpy(server->argument, request.argument, request.header.argument_bytes);
        server->argument[request.header.argument_bytes] = '\0';
        *ret_argument = server->argument;
        return request.header.verb;
    }
    if (bytes >= 0 || (errno != EAGAIN && errno != EINTR) || now_ns >= server->expiry_ns)
        control_server_hang_up(server);
    return 0;
}

int control_server_file(const struct control_server *server)
{
    return server->file;
}

void control_server_answer(struct control_server *server, const struct control_answer *answer)
{
    /* Whoever asked and has gone needs no answer. */
    ssize_t sent = send(server->connection, answer, sizeof *answer, MSG_NOSIGNAL);
    (void)sent;
    control_server_hang_up(server);
}

void control_server_wait(const struct control_server *server, int pidfd, int timeout_ms)
{
    struct pollfd files[] = {{.fd = server->connection >= 0 ? server->connection : server->socket, .events = POLLIN},
                             {.fd = pidfd, .events = POLLIN}};
    poll(files, 2, timeout_ms);
}
