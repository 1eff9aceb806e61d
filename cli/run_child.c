/* Fork, exec, signals, wait: see run_child.h. */
#include "run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "message.h"
#include "run_actions.h"
#include "run_output.h"

static const int forwarded_signals[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT, SIGALRM, SIGVTALRM, SIGPOLL};
#define FORWARDED_COUNT (int)(sizeof forwarded_signals / sizeof *forwarded_signals)

static volatile pid_t forward_to;

/* What the kernel sends for the terminal (Ctrl-C, hangup) goes to the whole foreground group: the program has it already. */
static void forward_signal(int number, siginfo_t *information, void *context)
{
    int saved_errno = errno;
    if (information->si_code <= 0 && forward_to > 0)
        kill(forward_to, number);
    errno = saved_errno;
}

static void watch_signals(pid_t child)
{
    struct sigaction action = {.sa_sigaction = forward_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&action.sa_mask);
    forward_to = child;
    for (int i = 0; i < FORWARDED_COUNT; i++) {
        struct sigaction before;
        sigaction(forwarded_signals[i], NULL, &before);
        /* nohup and the like: the program inherits that it ignores the signal, and so do we. */
        if (before.sa_handler != SIG_IGN)
            sigaction(forwarded_signals[i], &action, NULL);
    }
}

/* From wherever the program lies to the root: ld.so puts the program's folder in place of $ORIGIN. musl's loader doesn't know the word, finds no
 * such file and goes on without; what it found it would try to load, and end a child that needs it, as our library is made for glibc. */
#define UP_8 "../../../../../../../../"
#define TO_ROOT "$ORIGIN/" UP_8 UP_8 UP_8 UP_8 UP_8 UP_8 UP_8 UP_8

/* Ours first: what the user preloads himself must find our malloc in place. */
static void set_preload(const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    char *value;
    if (asprintf(&value, TO_ROOT "%s%s%s", library + strspn(library, "/"), before && *before ? ":" : "", before ? before : "") < 0)
        abort();
    setenv("LD_PRELOAD", value, 1);
    free(value);
}

static void set_environment(const struct run_environment *environment)
{
    char *output = environment->output ? strdup(environment->output) : run_output_default("run", environment->name, getpid());
    set_preload(environment->library);
    setenv("HEAPLINE_SESSION", environment->session, 1);
    setenv("HEAPLINE_OUTPUT", output, 1);
    setenv("HEAPLINE_OPTIONS", environment->options, 1);
    free(output);
}

_Noreturn static void become_program(const char *path, char **arguments, const struct run_environment *environment, int report_to,
                                     const sigset_t *mask)
{
    set_environment(environment);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execv(path, arguments);
    int error = errno;
    ssize_t written = write(report_to, &error, sizeof error);
    _exit(written == sizeof error ? 127 : 126);
}

/* The child's errno where exec failed; 0: it runs. */
static int read_exec_error(int file)
{
    int error = 0;
    ssize_t got;
    while ((got = read(file, &error, sizeof error)) < 0 && errno == EINTR)
        ;
    return got == sizeof error ? error : 0;
}

pid_t run_child_start(const char *path, char **arguments, const struct run_environment *environment)
{
    int ends[2];
    sigset_t all, before;
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC))
        fail(CLI_SYSTEM, "run: cannot make a pipe: %s", strerror(errno));
    /* No signal may come between fork and the handlers: the child would be lost to it. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t child = fork();
    if (child < 0)
        fail(CLI_SYSTEM, "run: cannot start a process: %s", strerror(errno));
    if (child == 0)
        become_program(path, arguments, environment, ends[1], &before);
    close(ends[1]);
    watch_signals(child);
    run_actions_begin(child);
    sigprocmask(SIG_SETMASK, &before, NULL);
    int error = read_exec_error(ends[0]);
    close(ends[0]);
    if (error)
        waitpid(child, NULL, 0);
    if (error == ENOEXEC)
        fail(CLI_USAGE, "run: '%s' is not a program (a script needs a first line such as '#!/bin/sh')", path);
    if (error)
        fail(CLI_SYSTEM, "run: cannot start '%s': %s", path, strerror(error));
    return child;
}

void run_child_await(pid_t child)
{
    siginfo_t information;
    while (waitid(P_PID, (id_t)child, &information, WEXITED | WNOWAIT) && errno == EINTR)
        ;
}

int run_child_reap(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    forward_to = 0;
    return status;
}

void run_child_end_like(int wait_status)
{
    if (!WIFSIGNALED(wait_status))
        exit(WEXITSTATUS(wait_status));
    int number = WTERMSIG(wait_status);
    sigset_t only;
    fflush(NULL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(number, SIG_DFL);
    sigemptyset(&only);
    sigaddset(&only, number);
    sigprocmask(SIG_UNBLOCK, &only, NULL);
    kill(getpid(), number);
    exit(128 + number);
}
