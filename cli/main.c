/* The heapline program: finds the command and runs it. This folder is the only one that prints. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "text.h"

const struct command_group command_groups[] = {
    {"Record", {&run_command, &attach_command, &detach_command}},
    {"While it runs", {&live_command, &metrics_command, &snapshot_command, &start_command, &stop_command, &sample_command}},
    {"What happened?", {&report_command, &view_command, &timeline_command}},
    {"Which lines?", {&lines_command, &peak_command, &copies_command, &leaks_command, &diff_command, &tree_command, &sizes_command}},
    {"Dig deeper", {&objects_command, &sql_command, &dump_command, &bundle_command, &export_command, &help_command}},
    {NULL},
};

const struct command *command_find(const char *name)
{
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++)
            if (!strcmp((*command)->name, name))
                return *command;
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *closest = NULL;
    int distance = 3;
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++) {
            int d = text_distance(name, (*command)->name);
            if (d < distance) {
                distance = d;
                closest = (*command)->name;
            }
        }
    warn(name[0] == '-' ? "there is no option '%s'" : "unknown command '%s'", name);
    if (closest)
        fprintf(stderr, "Did you mean '%s'?\n", closest);
    command_list(stderr);
    return CLI_USAGE;
}

/* What was printed must have arrived: a full disk or a closed pipe is no success. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    return status == CLI_DONE ? CLI_SYSTEM : status;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        program_help(stderr);
        return CLI_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        program_help(stdout);
        return finish(CLI_DONE);
    }
    if (!strcmp(argv[1], "--version")) {
        printf("heapline %s\n", HEAPLINE_VERSION);
        return finish(CLI_DONE);
    }
    const struct command *command = command_find(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    return finish(command->run(argc - 1, argv + 1));
}
