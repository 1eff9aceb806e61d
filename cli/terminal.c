/* Widths, colours and glyphs of the output: see terminal.h. */
#include "terminal.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_WITHOUT_TERMINAL 100
#define NARROWEST 40

static int find_width(int file)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    int width = columns ? atoi(columns) : 0;
    if (width <= 0 && ioctl(file, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width <= 0)
        width = 80;
    return width < NARROWEST ? NARROWEST : width;
}

static int find_color(const struct terminal *terminal, enum color_choice choice)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (choice != COLOR_AUTO)
        return choice == COLOR_ALWAYS;
    if (no_color && *no_color)
        return 0;
    return terminal->is_terminal && term && strcmp(term, "dumb") != 0;
}

void terminal_init(struct terminal *terminal, FILE *out, enum color_choice color)
{
    terminal->out = out;
    terminal->is_terminal = isatty(fileno(out));
    terminal->width = terminal->is_terminal ? find_width(fileno(out)) : WIDTH_WITHOUT_TERMINAL;
    terminal->color = find_color(terminal, color);
    terminal->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

const char *terminal_style(const struct terminal *terminal, enum style style)
{
    static const char *const sequences[STYLE_COUNT] = {
        [STYLE_PLAIN] = "\033[0m", [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",  [STYLE_PLACE] = "\033[36m",
        [STYLE_BAR] = "\033[34m",  [STYLE_WARNING] = "\033[33m", [STYLE_CODE] = "\033[32m",
        [STYLE_GREW] = "\033[31m", [STYLE_SHRANK] = "\033[34m",
    };
    return terminal->color ? sequences[style] : "";
}

const char *terminal_ellipsis(const struct terminal *terminal)
{
    return terminal->unicode ? "…" : "..";
}

const char *terminal_dot(const struct terminal *terminal)
{
    return terminal->unicode ? "·" : "-";
}

void terminal_bar(const struct terminal *terminal, char *out, double share, int columns)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double clamped = share < 0 ? 0 : share > 1 ? 1 : share;
    int steps = terminal->unicode ? 8 : 1;
    int filled = (int)(clamped * columns * steps + 0.5);
    if (filled == 0 && clamped > 0)
        filled = terminal->unicode ? 1 : 0;
    int column = 0;
    for (; column < filled / steps; column++)
        out = stpcpy(out, terminal->unicode ? "█" : "#");
    if (filled % steps) {
        out = stpcpy(out, parts[filled % steps]);
        column++;
    }
    for (; column < columns; column++)
        *out++ = ' ';
    *out = '\0';
}

const char *terminal_spark(const struct terminal *terminal, double share)
{
    static const char *const fine[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const coarse[] = {" ", "_", ".", ":", "-", "=", "+", "*", "#"};
    double clamped = share < 0 ? 0 : share > 1 ? 1 : share;
    int level = clamped > 0 ? 1 + (int)(clamped * 7 + 0.5) : 0;
    return (terminal->unicode ? fine : coarse)[level];
}

void terminal_print(const struct terminal *terminal, enum style style, const char *format, ...)
{
    va_list arguments;
    if (style != STYLE_PLAIN)
        fputs(terminal_style(terminal, style), terminal->out);
    va_start(arguments, format);
    vfprintf(terminal->out, format, arguments);
    va_end(arguments);
    if (style != STYLE_PLAIN)
        fputs(terminal_style(terminal, STYLE_PLAIN), terminal->out);
}

void terminal_wrap(FILE *out, const char *text, int width, int indent)
{
    int column = indent;
    while (*text) {
        int length = (int)strcspn(text, " \n");
        if (column + 1 + length > width && column > indent) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, (size_t)length, out);
        column += length;
        text += length;
        if (*text == '\n') {
            fprintf(out, "\n%*s", text[1] ? indent : 0, "");
            column = indent;
        }
        if (*text)
            text++;
    }
}

void terminal_heading(const struct terminal *terminal, const char *title, const char *remark)
{
    fputc('\n', terminal->out);
    terminal_print(terminal, STYLE_BOLD, "%s", title);
    if (remark && *remark)
        terminal_print(terminal, STYLE_DIM, "  %s", remark);
    fputc('\n', terminal->out);
}
