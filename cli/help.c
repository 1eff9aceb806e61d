/* heapline --help, heapline help COMMAND, and each command's own --help, from the tables that the parser uses. */
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "terminal.h"

#define OPTION_COLUMN 27
#define HELP_WIDTH 79

static void print_title(const struct terminal *terminal, const char *title)
{
    terminal_print(terminal, STYLE_BOLD, "\n%s\n", title);
}

static void print_option(FILE *out, const struct option_spec *spec)
{
    char left[80];
    int used = snprintf(left, sizeof left, "  %c%c%s", spec->letter ? '-' : ' ', spec->letter ? spec->letter : ' ',
                        spec->letter && spec->name ? ", " : spec->name ? "  " : "");
    used += snprintf(left + used, sizeof left - (size_t)used, "%s%s", spec->name ? "--" : "", spec->name ? spec->name : "");
    if (spec->argument)
        used += snprintf(left + used, sizeof left - (size_t)used, " %s", spec->argument);
    fputs(left, out);
    if (used >= OPTION_COLUMN) {
        fputc('\n', out);
        used = 0;
    }
    fprintf(out, "%*s", OPTION_COLUMN - used, "");
    terminal_wrap(out, spec->help, HELP_WIDTH, OPTION_COLUMN);
    fputc('\n', out);
}

static void print_block(FILE *out, const char *text)
{
    for (const char *line = text; *line;) {
        int length = (int)strcspn(line, "\n");
        fprintf(out, "%s%.*s\n", length ? "  " : "", length, line);
        line += length + (line[length] == '\n');
    }
}

void command_help(const struct command *command, FILE *out)
{
    struct terminal terminal;
    terminal_init(&terminal, out, COLOR_AUTO);
    fprintf(out, "heapline %s %s\n\n", command->name, command->usage);
    terminal_wrap(out, command->description, HELP_WIDTH, 0);
    fputc('\n', out);
    if (command->options[0])
        print_title(&terminal, "Options");
    for (int table = 0; table < COMMAND_TABLES && command->options[table]; table++)
        for (const struct option_spec *spec = command->options[table]; spec->name || spec->letter; spec++)
            print_option(out, spec);
    if (command->options[0])
        print_option(out, &(struct option_spec){.name = "help", .letter = 'h', .help = "print this and exit"});
    if (command->examples) {
        print_title(&terminal, "Examples");
        print_block(out, command->examples);
    }
    if (command->statuses) {
        print_title(&terminal, "Exit status");
        print_block(out, command->statuses);
    }
}

void program_help(FILE *out)
{
    struct terminal terminal;
    terminal_init(&terminal, out, COLOR_AUTO);
    fputs("heapline: which lines of a program hold, churn through, copy and leak memory\n\n"
          "  heapline run script.py            record it; the report comes when it ends\n"
          "  heapline lines script.py.*.heapline --source script.py\n",
          out);
    for (const struct command_group *group = command_groups; group->title; group++) {
        print_title(&terminal, group->title);
        for (const struct command *const *command = group->commands; *command; command++)
            fprintf(out, "  %-10s %s\n", (*command)->name, (*command)->question);
    }
    fputs("\nEvery command that reads a trace takes --json for scripts. 'heapline COMMAND --help' tells the rest.\n", out);
}

void command_list(FILE *out)
{
    const char *separator = "Commands: ";
    for (const struct command_group *group = command_groups; group->title; group++)
        for (const struct command *const *command = group->commands; *command; command++) {
            fprintf(out, "%s%s", separator, (*command)->name);
            separator = ", ";
        }
    fputc('\n', out);
}

static int run_help(int argc, char **argv)
{
    if (argc == 1) {
        program_help(stdout);
        return CLI_DONE;
    }
    const struct command *command = command_find(argv[1]);
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        command = &help_command;
    if (!command) {
        warn("there is no command '%s'", argv[1]);
        command_list(stderr);
        return CLI_USAGE;
    }
    command_help(command, stdout);
    return CLI_DONE;
}

const struct command help_command = {
    .name = "help",
    .question = "explain a command",
    .usage = "[COMMAND]",
    .description = "Explains a command, or lists them all.",
    .examples = "heapline help run",
    .statuses = "0  done\n2  there is no such command",
    .run = run_help,
};
