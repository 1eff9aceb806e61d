/* Signals to `heapline run` that are meant for the recording: each starts a command about the recorded process instead of being passed on.
 *
 * Nothing of it is in the recorded program, which has no handler of ours. Called from signal handlers: what is needed is prepared before.
 * One thread. */
#ifndef HEAPLINE_CLI_RUN_ACTIONS_H
#define HEAPLINE_CLI_RUN_ACTIONS_H

#include <sys/types.h>

struct run_action {
    const char *command;  /* snapshot, start, stop */
    const char *option;   /* of `heapline run`, for messages */
    const char *signal;   /* its name or number, as the user gave it; NULL: none */
};

/* "SIGUSR1", "usr1" or "10"; others, and those that no program can catch, are wrong usage. Ends the program then. */
void run_actions_parse(const struct run_action *actions, int count);
/* The process that the commands are about; from now on the signals are ours. Before the program is started they are not. */
void run_actions_begin(pid_t pid);

#endif
