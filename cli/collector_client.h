/* Finds the collector of a running process and asks it something (control.h). For every command that is given a PID.
 * Where it can't be asked, the program ends with a message and CLI_SYSTEM. One thread; never allocates. */
#ifndef HEAPLINE_CLI_COLLECTOR_CLIENT_H
#define HEAPLINE_CLI_COLLECTOR_CLIENT_H

#include <sys/types.h>

#include "command.h"
#include "control.h"

/* The command line of `heapline NAME PID`: what is left of it once options are parsed into `settings`. Other operands are wrong usage. */
pid_t collector_parse_pid(const struct command *command, void *settings, int argc, char **argv);
/* Is this text the id of a process? Returns it, of `heapline run` its program's; 0: it isn't. */
pid_t collector_pid_of_text(const char *text);

struct collector_question {
    enum control_verb verb;
    const char *argument; /* NULL: none */
    const int *file;      /* an open file that goes along; NULL: none */
    int patience_s;       /* how long to wait for the answer; 0: as long as a collector may be busy */
};

/* Ask, and have an answer of any result but CONTROL_UNKNOWN and CONTROL_REFUSED, which end the program. `name`: the command's, for messages. */
void collector_ask(const char *name, pid_t pid, const struct collector_question *question, struct control_answer *ret_answer);

/* Does the answer's text, the lines of CONTROL_STATUS, have this one? */
int collector_says(const struct control_answer *answer, const char *line);

/* The same for whoever goes on without an answer: never ends the program. */
enum collector_reply {
    COLLECTOR_ANSWERED,
    COLLECTOR_NONE,    /* there is no such process, no collector, or it has ended its trace */
    COLLECTOR_SILENT,  /* it does not answer */
    COLLECTOR_FOREIGN, /* it is another user's */
    COLLECTOR_OLDER,   /* it does not know this verb */
};
enum collector_reply collector_try(pid_t pid, const struct collector_question *question, struct control_answer *ret_answer);

/* Is it this trace that a collector writes for the process, here and now? Asks once, and waits for a second at most. */
int collector_writes(pid_t pid, const char *trace_path);

/* End the program with a message for such a reply, or for the reason that a refusal gives. */
_Noreturn void collector_fail(const char *name, pid_t pid, enum collector_reply reply, const struct control_answer *answer);

/* The exit statuses of these commands, as help lists them. */
#define COLLECTOR_STATUSES "0  done\n2  wrong usage\n4  there is no such process, it has no recorder, or is another user's"

#endif
