/* See run_actions.h. A handler forks and executes `heapline COMMAND PID`: fork and exec are all that it needs, and both may be called there. The
 * command is a grandchild, so that nobody here has to wait for it. */
#include "run_actions.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"

#define MAX_ACTIONS 4

static struct prepared {
    int number;
    char command[16];
} prepared[MAX_ACTIONS];
static int prepared_count;
static char pid_text[16];

/* 0: there is no such signal. */
static int parse_signal(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
    if (end != text && !*end)
        return number > 0 && number < NSIG ? (int)number : 0;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && !strcasecmp(sigabbrev_np(i), name))
            return i;
    return 0;
}

/* What ends or stops a process, or tells of faults, has its meaning. */
static int may_be_used(int number)
{
    static const int taken[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (number == taken[i])
            return 0;
    return number != 0;
}

void run_actions_parse(const struct run_action *actions, int count)
{
    for (int i = 0; i < count; i++) {
        if (!actions[i].signal)
            continue;
        int number = parse_signal(actions[i].signal);
        if (!may_be_used(number))
            fail_usage("run", "run: --%s %s: that is no signal, or one that can't be used so; SIGUSR1 and SIGUSR2 can", actions[i].option,
                       actions[i].signal);
        for (int j = 0; j < prepared_count; j++)
            if (prepared[j].number == number)
                fail_usage("run", "run: --%s %s: this signal stands for another command already", actions[i].option, actions[i].signal);
        prepared[prepared_count].number = number;
        snprintf(prepared[prepared_count++].command, sizeof prepared->command, "%s", actions[i].command);
    }
}

/* The program's output is its own: what the command says goes to stderr. */
static _Noreturn void become_command(const struct prepared *action)
{
    const char *const arguments[] = {"heapline", action->command, pid_text, strcmp(action->command, "snapshot") ? NULL : "--quiet", NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execv("/proc/self/exe", (char *const *)arguments);
    _exit(127);
}

static void on_signal(int number)
{
    int saved_errno = errno;
    for (int i = 0; i < prepared_count; i++) {
        if (prepared[i].number != number)
            continue;
        pid_t between = _Fork();
        if (between == 0) {
            if (_Fork() == 0)
                become_command(&prepared[i]);
            _exit(0);
        }
        while (between > 0 && waitpid(between, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    errno = saved_errno;
}

void run_actions_begin(pid_t pid)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    snprintf(pid_text, sizeof pid_text, "%d", (int)pid);
    for (int i = 0; i < prepared_count; i++)
        sigaction(prepared[i].number, &action, NULL);
}
