/* A command of the program: its entry, and what its help says. One file a command; main.c lists them. */
#ifndef HEAPLINE_CLI_COMMAND_H
#define HEAPLINE_CLI_COMMAND_H

#include <stdio.h>

#include "options.h"

#define COMMAND_TABLES 8

struct command {
    const char *name;
    const char *question;     /* heapline --help: what it answers, in one line */
    const char *usage;        /* what follows "heapline NAME" */
    const char *description;  /* paragraphs */
    const char *examples;     /* lines of shell */
    const char *statuses;     /* lines */
    const struct option_spec *options[COMMAND_TABLES]; /* its own and shared ones, ended by NULL */
    /* argv[0] is the command's name. Returns an enum cli_status. */
    int (*run)(int argc, char **argv);
};

/* A heading of heapline --help and the commands under it. */
struct command_group {
    const char *title;
    const struct command *commands[8]; /* ended by NULL */
};

extern const struct command_group command_groups[]; /* ended by a NULL title */
const struct command *command_find(const char *name);

void command_help(const struct command *command, FILE *out);
void program_help(FILE *out);
/* Names of all commands on one line. */
void command_list(FILE *out);

extern const struct command run_command, attach_command, detach_command, start_command, stop_command, sample_command, snapshot_command, live_command, metrics_command;
extern const struct command report_command, lines_command, peak_command, copies_command, leaks_command, timeline_command,
    tree_command, sizes_command, sql_command, dump_command, bundle_command, export_command, view_command, help_command;
extern const struct command diff_command;
extern const struct command objects_command;

#endif
