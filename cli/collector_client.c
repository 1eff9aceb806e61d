/* See collector_client.h. */
#include "collector_client.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "message.h"
#include "process_family.h"
#include "session.h"

/* A collector that is busy with a fork may take a while; one that is stopped never answers. */
#define ANSWER_LIMIT_S 10
#define START_LIMIT_MS 3000
#define START_STEP_MS 20

/* ---- finding it ---- */

/* May this socket's owner speak for the process? Anybody can listen at a name like a collector's. */
static int is_trustworthy(int connection, pid_t pid)
{
    char folder[32];
    struct stat process;
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    snprintf(folder, sizeof folder, "/proc/%d", (int)pid);
    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid() || (stat(folder, &process) == 0 && process.st_uid == peer.uid));
}

/* A connection to the abstract address, -1: nobody listens there. */
static int connect_to(const char *name, pid_t pid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t name_bytes = strlen(name);
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -1;
    if (name_bytes >= sizeof address.sun_path) {
        close(connection);
        return -1;
    }
    memcpy(address.sun_path + 1, name, name_bytes);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name_bytes);
    if (TEMP_FAILURE_RETRY(connect(connection, (struct sockaddr *)&address, bytes)) == 0 && is_trustworthy(connection, pid))
        return connection;
    close(connection);
    return -1;
}

/* One that listens for this process, -1: none does. */
static int look_for_collector(pid_t pid)
{
    char prefix[64], line[512];
    int connection = -1;
    FILE *sockets = fopen("/proc/net/unix", "re");
    snprintf(prefix, sizeof prefix, " @" CONTROL_NAME_PREFIX "%d-", (int)pid);
    while (sockets && connection < 0 && fgets(line, sizeof line, sockets)) {
        char *found = strstr(line, prefix);
        if (!found)
            continue;
        found[strcspn(found, "\n")] = '\0';
        connection = connect_to(found + 2, pid);
    }
    if (sockets)
        fclose(sockets);
    return connection;
}

/* Has it a session with a collector? Where that may not be looked at: 0. */
static int has_session(pid_t pid)
{
    char path[32], line[512];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && !found && fgets(line, sizeof line, maps))
        found = strstr(line, "/memfd:" SESSION_MEMFD_NAME) != NULL;
    if (maps)
        fclose(maps);
    return found;
}

/* The collector of a process that has just been started or forked is still on its way. */
static int find_collector(pid_t pid)
{
    int connection = look_for_collector(pid);
    for (int waited_ms = 0; connection < 0 && waited_ms < START_LIMIT_MS && has_session(pid); waited_ms += START_STEP_MS) {
        usleep(START_STEP_MS * 1000);
        connection = look_for_collector(pid);
    }
    return connection;
}

/* ---- asking it ---- */

/* Returns 0 or -1. `file`: -1 for none. */
static int send_request(int connection, enum control_verb verb, const char *argument, int file)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct control_request request = {.header = {.magic = CONTROL_MAGIC, .verb = verb}};
    size_t argument_bytes = argument ? strlen(argument) : 0;
    if (argument_bytes > sizeof request.argument) {
        errno = EMSGSIZE;
        return -1;
    }
    request.header.argument_bytes = (uint32_t)argument_bytes;
    memcpy(request.argument, argument ? argument : "", argument_bytes);
    struct iovec text = {&request, sizeof request.header + argument_bytes};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (file >= 0) {
        memcpy(CMSG_DATA(&control.header), &file, sizeof file);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    return TEMP_FAILURE_RETRY(sendmsg(connection, &message, MSG_NOSIGNAL)) == (ssize_t)text.iov_len ? 0 : -1;
}

static void set_patience(int connection, int limit_s)
{
    struct timeval limit = {.tv_sec = limit_s};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static enum collector_reply ask(int connection, const struct collector_question *question, struct control_answer *ret_answer)
{
    struct control_answer answer;
    if (connection < 0)
        return COLLECTOR_NONE;
    set_patience(connection, question->patience_s ? question->patience_s : ANSWER_LIMIT_S);
    ssize_t got = -1;
    /* Signals, such as a terminal's change of size, interrupt sockets with a time limit in spite of SA_RESTART (signal(7)). */
    if (send_request(connection, question->verb, question->argument, question->file ? *question->file : -1) == 0)
        got = TEMP_FAILURE_RETRY(recv(connection, &answer, sizeof answer, 0));
    int error = errno;
    close(connection);
    if (got < 0 && (error == EAGAIN || error == EWOULDBLOCK))
        return COLLECTOR_SILENT;
    if (got != sizeof answer || answer.magic != CONTROL_MAGIC)
        return COLLECTOR_FOREIGN;
    if (answer.result == CONTROL_UNKNOWN)
        return COLLECTOR_OLDER;
    answer.trace_path[sizeof answer.trace_path - 1] = '\0';
    answer.text[sizeof answer.text - 1] = '\0';
    *ret_answer = answer;
    return COLLECTOR_ANSWERED;
}

enum collector_reply collector_try(pid_t pid, const struct collector_question *question, struct control_answer *ret_answer)
{
    return ask(find_collector(pid), question, ret_answer);
}

int collector_writes(pid_t pid, const char *trace_path)
{
    struct control_answer answer;
    struct stat here, there;
    return ask(look_for_collector(pid), &(struct collector_question){.verb = CONTROL_STATUS, .patience_s = 1}, &answer) == COLLECTOR_ANSWERED &&
           stat(trace_path, &here) == 0 && stat(answer.trace_path, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

_Noreturn static void fail_not_found(const char *name, pid_t pid)
{
    if (kill(pid, 0) && errno == ESRCH)
        fail(CLI_SYSTEM, "%s: there is no process %d", name, (int)pid);
    fail(CLI_SYSTEM, "%s: process %d has no recorder, or one that has ended its trace; 'heapline run' starts programs with one", name, (int)pid);
}

void collector_fail(const char *name, pid_t pid, enum collector_reply reply, const struct control_answer *answer)
{
    switch (reply) {
    case COLLECTOR_NONE:
        fail_not_found(name, pid);
    case COLLECTOR_SILENT:
        fail(CLI_SYSTEM, "%s: the collector of process %d does not answer", name, (int)pid);
    case COLLECTOR_FOREIGN:
        fail(CLI_SYSTEM, "%s: process %d is another user's: its own user and root may do this", name, (int)pid);
    case COLLECTOR_OLDER:
        fail(CLI_SYSTEM, "%s: the collector of process %d is of another version of heapline, which can't do this", name, (int)pid);
    case COLLECTOR_ANSWERED:
        break;
    }
    fail(CLI_SYSTEM, "%s: %s", name, answer->text);
}

void collector_ask(const char *name, pid_t pid, const struct collector_question *question, struct control_answer *ret_answer)
{
    enum collector_reply reply = collector_try(pid, question, ret_answer);
    if (reply != COLLECTOR_ANSWERED || ret_answer->result == CONTROL_REFUSED)
        collector_fail(name, pid, reply, ret_answer);
}

int collector_says(const struct control_answer *answer, const char *line)
{
    return strstr(answer->text, line) != NULL;
}

/* ---- the command line ---- */

pid_t collector_pid_of_text(const char *text)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    return errno || end == text || *end || pid <= 0 || pid > 0x7fffffff ? 0 : process_family_program((pid_t)pid);
}

pid_t collector_parse_pid(const struct command *command, void *settings, int argc, char **argv)
{
    int operand_count = options_parse(command, settings, argc, argv, OPTIONS_ANYWHERE);
    if (operand_count != 1)
        fail_usage(command->name, "%s: which process? Give its id", command->name);
    pid_t pid = collector_pid_of_text(argv[1]);
    if (!pid)
        fail_usage(command->name, "%s: '%s' is no process id", command->name, argv[1]);
    return pid;
}
