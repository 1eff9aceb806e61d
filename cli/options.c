/* Parses by option tables: see options.h. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "terminal.h"
#include "text.h"
#include "units.h"

struct parse {
    const struct command *command;
    char *settings;
    int argc;
    char **argv;
    int at;     /* the argument that is read next */
    int ended;  /* OPTION_LAST was seen */
};

static const struct option_spec *find_option(const struct command *command, const char *name, size_t name_length, char letter)
{
    for (int table = 0; table < COMMAND_TABLES && command->options[table]; table++)
        for (const struct option_spec *spec = command->options[table]; spec->name || spec->letter; spec++) {
            if (name && spec->name && strlen(spec->name) == name_length && !memcmp(spec->name, name, name_length))
                return spec;
            if (letter && spec->letter == letter)
                return spec;
        }
    return NULL;
}

_Noreturn static void fail_unknown(const struct command *command, const char *argument)
{
    const char *closest = NULL;
    int distance = 3;
    for (int table = 0; table < COMMAND_TABLES && command->options[table]; table++)
        for (const struct option_spec *spec = command->options[table]; spec->name || spec->letter; spec++) {
            int d = spec->name && argument[1] == '-' ? text_distance(argument + 2, spec->name) : distance;
            if (d < distance) {
                distance = d;
                closest = spec->name;
            }
        }
    if (closest)
        fail_usage(command->name, "%s: there is no option '%s'; did you mean '--%s'?", command->name, argument, closest);
    fail_usage(command->name, "%s: there is no option '%s'", command->name, argument);
}

static int parse_color(const char *text)
{
    static const char *const names[] = {[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(text, names[i]))
            return i;
    return -1;
}

static void add_text(const struct parse *parse, struct text_list *list, const char *text)
{
    if (list->count == MAX_TEXTS)
        fail_usage(parse->command->name, "%s: more than %d of the same option", parse->command->name, MAX_TEXTS);
    list->texts[list->count++] = text;
}

static void store(struct parse *parse, const struct option_spec *spec, const char *shown, const char *value)
{
    char *field = parse->settings + spec->offset;
    const char *name = parse->command->name;
    switch (spec->kind) {
    case OPTION_SET:
        *(int *)field = spec->value;
        break;
    case OPTION_LAST:
        parse->ended = 1;
        *(const char **)field = value;
        break;
    case OPTION_TEXT:
        *(const char **)field = value;
        break;
    case OPTION_TEXTS:
        add_text(parse, (struct text_list *)field, value);
        break;
    case OPTION_COUNT:
        if (units_parse_count(value, (int64_t *)field))
            fail_usage(name, "%s: %s wants a number, not '%s'", name, shown, value);
        break;
    case OPTION_BYTES:
        if (units_parse_bytes(value, (uint64_t *)field))
            fail_usage(name, "%s: %s wants a size such as 4096, 64K or 1.5M, not '%s'", name, shown, value);
        break;
    case OPTION_COLOR:
        *(int *)field = parse_color(value);
        if (*(int *)field < 0)
            fail_usage(name, "%s: %s is auto, always or never, not '%s'", name, shown, value);
        break;
    }
}

/* The option's value: what is attached to it, else the next argument. */
static const char *take_value(struct parse *parse, const char *shown, const char *attached)
{
    if (attached)
        return attached;
    if (parse->at == parse->argc)
        fail_usage(parse->command->name, "%s: %s wants a value", parse->command->name, shown);
    return parse->argv[parse->at++];
}

static void parse_long(struct parse *parse, const char *argument)
{
    const char *equals = strchr(argument, '=');
    size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
    if (!strcmp(argument, "--help")) {
        command_help(parse->command, stdout);
        exit(CLI_DONE);
    }
    const struct option_spec *spec = find_option(parse->command, argument + 2, length - 2, 0);
    if (!spec)
        fail_unknown(parse->command, argument);
    char shown[64] = "--";
    strncat(shown, spec->name, sizeof shown - 3);
    if (spec->kind == OPTION_SET && equals)
        fail_usage(parse->command->name, "%s: %s takes no value", parse->command->name, shown);
    const char *value = spec->kind == OPTION_SET ? NULL : take_value(parse, shown, equals ? equals + 1 : NULL);
    store(parse, spec, shown, value);
}

/* One letter; an attached rest is its value. Letters without a value may be bundled. */
static void parse_letters(struct parse *parse, const char *argument)
{
    for (const char *letter = argument + 1; *letter; letter++) {
        char shown[3] = {'-', *letter, 0};
        const struct option_spec *spec = find_option(parse->command, NULL, 0, *letter);
        if (!spec && *letter == 'h') {
            command_help(parse->command, stdout);
            exit(CLI_DONE);
        }
        if (!spec)
            fail_unknown(parse->command, shown);
        if (spec->kind == OPTION_SET) {
            store(parse, spec, shown, NULL);
            continue;
        }
        store(parse, spec, shown, take_value(parse, shown, letter[1] ? letter + 1 : NULL));
        return;
    }
}

int options_parse(const struct command *command, void *settings, int argc, char **argv, enum options_order order)
{
    struct parse parse = {.command = command, .settings = settings, .argc = argc, .argv = argv, .at = 1};
    int operands = 0;
    while (parse.at < argc && !parse.ended && !(order == OPTIONS_FIRST && operands)) {
        char *argument = argv[parse.at++];
        if (!strcmp(argument, "--"))
            break;
        if (argument[0] != '-' || argument[1] == '\0')
            argv[1 + operands++] = argument;
        else if (argument[1] == '-')
            parse_long(&parse, argument);
        else
            parse_letters(&parse, argument);
    }
    while (parse.at < argc)
        argv[1 + operands++] = argv[parse.at++];
    return operands;
}
