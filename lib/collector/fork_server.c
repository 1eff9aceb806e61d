/* See fork_server.h. */
#include "fork_server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64
#define SPARE_BYTES 4096
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* asm-generic/socket.h of Linux 6.5 */
#endif

void fork_server_init(struct fork_server *server, struct session_header *session, const struct target_process *target)
{
    uint64_t random[3] = {0};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    *server = (struct fork_server){.next_sequence = 1, .target = target, .socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    session->fork_socket[0] = 0;
    if (server->socket < 0 || getrandom(random, sizeof random, 0) != sizeof random)
        return;
    int bytes = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "heapline-%016llx%016llx", (unsigned long long)random[0],
                         (unsigned long long)random[1]);
    socklen_t name_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
    if (bind(server->socket, (struct sockaddr *)&name, name_bytes) == 0 && listen(server->socket, BACKLOG) == 0)
        snprintf(session->fork_socket, sizeof session->fork_socket, "%s", name.sun_path + 1);
    server->secret = session->fork_secret = random[2];
}

void fork_letter_free(struct fork_letter *letter)
{
    if (letter && letter->memfd >= 0)
        close(letter->memfd);
    if (letter && letter->memory_file >= 0)
        close(letter->memory_file);
    if (letter && letter->child_pidfd >= 0)
        close(letter->child_pidfd);
    free(letter);
}

void fork_server_done(struct fork_server *server)
{
    for (uint32_t i = 0; i < server->letter_count; i++)
        fork_letter_free(server->letters[i]);
    if (server->socket >= 0)
        close(server->socket);
    *server = (struct fork_server){.socket = -1};
}

/* ---- receiving ---- */

/* May the user say something at all? The collector's, or the one that the target has become. */
static int is_possible_user(const struct fork_server *server, uid_t user_id)
{
    char text[1024];
    unsigned effective_id;
    if (user_id == geteuid())
        return 1;
    const char *found = target_process_read(server->target, "status", text, sizeof text) > 0 ? strstr(text, "\nUid:") : NULL;
    return found && sscanf(found, " Uid: %*u %u", &effective_id) == 1 && effective_id == user_id;
}

static int peer_pid(const struct fork_server *server, int connection)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0 || !is_possible_user(server, peer.uid))
        return 0;
    return peer.pid;
}

static int peer_pidfd(int connection)
{
    int pidfd = -1;
    socklen_t bytes = sizeof pidfd;
    return getsockopt(connection, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &bytes) == 0 ? pidfd : -1;
}

/* The letter was sent right after connecting, in one piece. Returns 1: it is whole. */
static int read_letter(int connection, struct fork_letter *letter)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec text = {&letter->message, sizeof letter->message + sizeof letter->cursors};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(2 * sizeof(int))};
    struct pollfd arrival = {.fd = connection, .events = POLLIN};
    if (poll(&arrival, 1, 1000) != 1)
        return 0;
    ssize_t bytes = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = bytes > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        memcpy(&letter->memfd, CMSG_DATA(header), sizeof letter->memfd);
        if (header->cmsg_len >= CMSG_LEN(2 * sizeof(int)))
            memcpy(&letter->memory_file, CMSG_DATA(header) + sizeof(int), sizeof letter->memory_file);
    }
    return letter->memfd >= 0 && (size_t)bytes >= sizeof letter->message && letter->message.thread_count <= SESSION_MAX_THREADS &&
           (size_t)bytes == sizeof letter->message + letter->message.thread_count * sizeof letter->cursors[0];
}

static void insert_letter(struct fork_server *server, struct fork_letter *letter)
{
    uint32_t at = server->letter_count++;
    for (; at > 0 && (int32_t)(server->letters[at - 1]->message.sequence - letter->message.sequence) > 0; at--)
        server->letters[at] = server->letters[at - 1];
    server->letters[at] = letter;
}

static void receive_one(struct fork_server *server, int connection)
{
    struct fork_letter *letter = calloc(1, sizeof *letter);
    int kept = 0;
    if (letter) {
        letter->memfd = letter->memory_file = -1;
        letter->child_pid = peer_pid(server, connection);
        letter->child_pidfd = peer_pidfd(connection);
        kept = letter->child_pid > 0 && read_letter(connection, letter) && letter->message.secret == server->secret;
    }
    if (kept)
        insert_letter(server, letter);
    else
        fork_letter_free(letter);
    close(connection);
}

void fork_server_receive(struct fork_server *server, int timeout_ms)
{
    struct pollfd arrival = {.fd = server->socket, .events = POLLIN};
    while (server->socket >= 0 && server->letter_count < FORK_MAX_LETTERS && poll(&arrival, 1, timeout_ms) == 1) {
        int connection = accept4(server->socket, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0)
            break;
        receive_one(server, connection);
        timeout_ms = 0;
    }
}

struct fork_letter *fork_server_take(struct fork_server *server)
{
    if (server->letter_count == 0)
        return NULL;
    struct fork_letter *first = server->letters[0];
    server->letter_count--;
    memmove(server->letters, server->letters + 1, server->letter_count * sizeof server->letters[0]);
    return first;
}

/* ---- sessions ---- */

struct session_header *session_map(int memfd)
{
    struct stat about;
    if (fstat(memfd, &about) != 0 || (uint64_t)about.st_size < SESSION_TOTAL_BYTES)
        return NULL;
    char *place = mmap(NULL, SESSION_TOTAL_BYTES + SPARE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        return NULL;
    void *mapped = mmap(place, SESSION_TOTAL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd, 0);
    struct session_header *session = mapped;
    if (mapped == MAP_FAILED || session->magic != SESSION_MAGIC || session->version != SESSION_VERSION ||
        session->total_bytes != SESSION_TOTAL_BYTES) {
        munmap(place, SESSION_TOTAL_BYTES + SPARE_BYTES);
        return NULL;
    }
    return session;
}

void session_unmap(struct session_header *session)
{
    munmap(session, SESSION_TOTAL_BYTES + SPARE_BYTES);
}
