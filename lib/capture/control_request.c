/* See control_request.h. */
#include "control_request.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "pages.h"
#include "recorder.h"
#include "session_start.h"

#define ANSWER_LIMIT_S 2

/* Connected to the collector; -1: it doesn't listen. */
static int connect_to_collector(void)
{
    struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t bytes = strnlen(recorder_session->control_socket, sizeof address.sun_path - 1);
    int connection = bytes ? (int)syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;
    if (connection < 0)
        return -1;
    syscall(SYS_setsockopt, connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    syscall(SYS_setsockopt, connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    for (size_t i = 0; i < bytes; i++)
        address.sun_path[1 + i] = recorder_session->control_socket[i];
    if (TEMP_FAILURE_RETRY(syscall(SYS_connect, connection, &address, offsetof(struct sockaddr_un, sun_path) + 1 + bytes)) == 0)
        return connection;
    syscall(SYS_close, connection);
    return -1;
}

static int ask(int connection, enum control_verb verb, struct control_answer *answer)
{
    struct control_request_header request = {.magic = CONTROL_MAGIC, .verb = verb};
    return TEMP_FAILURE_RETRY(syscall(SYS_sendto, connection, &request, sizeof request, MSG_NOSIGNAL, NULL, 0)) == sizeof request &&
           TEMP_FAILURE_RETRY(syscall(SYS_recvfrom, connection, answer, sizeof *answer, 0, NULL, NULL)) == sizeof *answer &&
           answer->magic == CONTROL_MAGIC && (answer->result == CONTROL_DONE || answer->result == CONTROL_ALREADY);
}

int control_request(enum control_verb verb)
{
    int saved_errno = errno, is_done = 0;
    if (recorder_session && *recorder_mark && !collector_died(recorder_session)) {
        collector_await(recorder_session);
        struct control_answer *answer = pages_map(sizeof *answer);
        int connection = answer ? connect_to_collector() : -1;
        if (connection >= 0) {
            is_done = ask(connection, verb, answer);
            syscall(SYS_close, connection);
        }
        if (answer)
            pages_unmap(answer, sizeof *answer);
    }
    errno = saved_errno;
    return is_done;
}
