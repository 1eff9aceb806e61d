/* heapline start, heapline stop: ask the collector of a running process (control.h). */
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

#include "command.h"
#include "control.h"
#include "message.h"
#include "paths.h"
#include "session.h"

/* A collector that is busy with a fork may take a while; one that is stopped never answers. */
#define ANSWER_LIMIT_S 10
#define START_LIMIT_MS 3000
#define START_STEP_MS 20

struct control_settings {
    int unused;
};

static const struct option_spec control_options[] = {{0}};

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
    if (connection < 0 || name_bytes >= sizeof address.sun_path)
        return -1;
    struct timeval limit = {.tv_sec = ANSWER_LIMIT_S};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    memcpy(address.sun_path + 1, name, name_bytes);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + name_bytes);
    if (connect(connection, (struct sockaddr *)&address, bytes) == 0 && is_trustworthy(connection, pid))
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

_Noreturn static void fail_not_found(const char *name, pid_t pid)
{
    if (kill(pid, 0) && errno == ESRCH)
        fail(CLI_SYSTEM, "%s: there is no process %d", name, (int)pid);
    fail(CLI_SYSTEM, "%s: process %d has no recorder, or one that has ended its trace; 'heapline run' starts programs with one", name, (int)pid);
}

/* ---- asking it ---- */

static void ask(const char *name, pid_t pid, enum control_verb verb, struct control_answer *ret_answer)
{
    int connection = find_collector(pid);
    if (connection < 0)
        fail_not_found(name, pid);
    struct control_request request = {.magic = CONTROL_MAGIC, .verb = verb};
    ssize_t sent = send(connection, &request, sizeof request, MSG_NOSIGNAL);
    ssize_t got = sent == sizeof request ? recv(connection, ret_answer, sizeof *ret_answer, 0) : -1;
    int error = errno;
    close(connection);
    if (got < 0 && (error == EAGAIN || error == EWOULDBLOCK))
        fail(CLI_SYSTEM, "%s: the collector of process %d does not answer", name, (int)pid);
    if (got != sizeof *ret_answer || ret_answer->magic != CONTROL_MAGIC)
        fail(CLI_SYSTEM, "%s: process %d is another user's: its own user and root may do this", name, (int)pid);
    ret_answer->trace_path[sizeof ret_answer->trace_path - 1] = '\0';
}

static pid_t parse_pid(const struct command *command, int argc, char **argv)
{
    struct control_settings settings;
    int operand_count = options_parse(command, &settings, argc, argv, OPTIONS_ANYWHERE);
    char *end = NULL;
    long pid = operand_count == 1 ? strtol(argv[1], &end, 10) : 0;
    if (operand_count != 1)
        fail_usage(command->name, "%s: which process? Give its id", command->name);
    if (*end || pid <= 0 || pid > 0x7fffffff)
        fail_usage(command->name, "%s: '%s' is no process id", command->name, argv[1]);
    return (pid_t)pid;
}

static int run_start(int argc, char **argv)
{
    struct control_answer answer;
    pid_t pid = parse_pid(&start_command, argc, argv);
    ask("start", pid, CONTROL_START, &answer);
    printf("process %d is recorded %s, into %s\n", (int)pid, answer.result == CONTROL_ALREADY ? "already" : "from now on",
           paths_relative(answer.trace_path));
    return CLI_DONE;
}

static int run_stop(int argc, char **argv)
{
    struct control_answer answer;
    pid_t pid = parse_pid(&stop_command, argc, argv);
    ask("stop", pid, CONTROL_STOP, &answer);
    if (answer.result == CONTROL_ALREADY)
        printf("process %d is not being recorded\n", (int)pid);
    else
        printf("process %d is no longer recorded; what was is in %s\n", (int)pid, paths_relative(answer.trace_path));
    return CLI_DONE;
}

#define CONTROL_STATUSES "0  done\n2  wrong usage\n4  there is no such process, it has no recorder, or is another user's"

const struct command start_command = {
    .name = "start",
    .question = "begin to record a program that was started paused",
    .usage = "PID",
    .description = "Begins to record a process that was started by 'heapline run --paused', or that 'heapline stop' has stopped. What was "
                   "allocated before is not known: its deallocations are not counted, and what is live is what has been allocated since.\n"
                   "Each thread notices when it allocates, frees or copies next. Other processes of the run are not concerned.",
    .examples = "heapline run --paused -o server.heapline python3 server.py &\n"
                "heapline start 4711        # some hours later\n"
                "heapline stop 4711\n"
                "heapline report server.heapline",
    .statuses = CONTROL_STATUSES,
    .options = {control_options},
    .run = run_start,
};

const struct command stop_command = {
    .name = "stop",
    .question = "record no more; the program goes on",
    .usage = "PID",
    .description = "Stops recording a process, which goes on. Its trace can be read at once; 'heapline start' goes on with it.",
    .examples = "heapline stop 4711",
    .statuses = CONTROL_STATUSES,
    .options = {control_options},
    .run = run_stop,
};
