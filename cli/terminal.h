/* What the output can show: width, colours, characters. Filled once a command, from the stream it prints on. */
#ifndef HEAPLINE_CLI_TERMINAL_H
#define HEAPLINE_CLI_TERMINAL_H

#include <stdio.h>

enum color_choice { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct terminal {
    FILE *out;
    int is_terminal;
    int width;     /* columns; 100 where there is no terminal */
    int color;
    int unicode;   /* the locale is UTF-8 */
};

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_PLACE, STYLE_BAR, STYLE_WARNING, STYLE_CODE, STYLE_GREW, STYLE_SHRANK, STYLE_COUNT };

/* NO_COLOR and TERM=dumb switch colours off unless COLOR_ALWAYS. */
void terminal_init(struct terminal *terminal, FILE *out, enum color_choice color);

/* The sequence that begins the style, "" without colours; STYLE_PLAIN ends any. */
const char *terminal_style(const struct terminal *terminal, enum style style);

/* "…" or "..", "·" or "-". */
const char *terminal_ellipsis(const struct terminal *terminal);
const char *terminal_dot(const struct terminal *terminal);

/* A horizontal bar of `share` (0 to 1) of `columns`, padded with spaces to `columns`. `out`: 4 bytes a column and one more. */
void terminal_bar(const struct terminal *terminal, char *out, double share, int columns);
/* One column of a sparkline: `share` (0 to 1) of the row's height. */
const char *terminal_spark(const struct terminal *terminal, double share);

/* printf in a style. */
void terminal_print(const struct terminal *terminal, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Words, broken into lines of at most `width` columns. The cursor stands at `indent`, where further lines begin too; no line break at the
 * end. ASCII text, or text whose exact width doesn't matter. */
void terminal_wrap(FILE *out, const char *text, int width, int indent);
/* A section's title, and a blank line before it. */
void terminal_heading(const struct terminal *terminal, const char *title, const char *remark);

#endif
