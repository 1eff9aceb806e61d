/* The command line, by tables: each option says where in the command's settings its value goes. */
#ifndef HEAPLINE_CLI_OPTIONS_H
#define HEAPLINE_CLI_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_SET,    /* an int becomes `value` */
    OPTION_TEXT,   /* const char * */
    OPTION_TEXTS,  /* struct text_list: may be given several times */
    OPTION_COUNT,  /* int64_t, not negative */
    OPTION_BYTES,  /* uint64_t, with a unit */
    OPTION_COLOR,  /* int: enum color_choice */
    OPTION_LAST,   /* const char *: takes its value and ends the options; what follows belongs to the recorded program */
};

struct option_spec {
    const char *name;     /* without dashes; NULL: only a letter; the table ends with name and letter 0 */
    char letter;
    enum option_kind kind;
    size_t offset;        /* of the field in the settings */
    int value;
    const char *argument; /* how help calls it */
    const char *help;
};

#define MAX_TEXTS 16
struct text_list {
    const char *texts[MAX_TEXTS];
    int count;
};

struct command;

enum options_order {
    OPTIONS_ANYWHERE, /* operands may stand before options */
    OPTIONS_FIRST,    /* the first operand ends the options */
};

/* Reads argv[1..] by the command's tables. Operands are moved to the front of argv (from 1): returns how many there are.
 * Wrong usage exits with status 2, --help prints the command's help and exits with 0. */
int options_parse(const struct command *command, void *settings, int argc, char **argv, enum options_order order);

#endif
