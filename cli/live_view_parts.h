/* Between live_view.c and live_view_stacks.c: a line of the picture, put together from left to right and cut where the screen ends. */
#ifndef HEAPLINE_CLI_LIVE_VIEW_PARTS_H
#define HEAPLINE_CLI_LIVE_VIEW_PARTS_H

#include "live_view.h"
#include "text.h"

struct live_line {
    const struct terminal *terminal;
    int columns;    /* at most */
    int used;
    size_t bytes;
    char text[4096];
};

void live_line_begin(struct live_line *line, const struct terminal *terminal, int columns);
/* A program's text, made harmless; at most `columns` of it (0: what there is room for), filled up to `padded`. */
void live_line_text(struct live_line *line, const char *text, int columns, enum text_clip clip, int padded);
/* Our own text, in ASCII but for what units and terminal give. */
void live_line_format(struct live_line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* One column. */
void live_line_glyph(struct live_line *line, const char *glyph);
void live_line_pad(struct live_line *line, int column);
void live_line_style(struct live_line *line, enum style style);
/* What follows, in reverse video. */
void live_line_reverse(struct live_line *line);

void live_view_paint_stacks(struct live_view *view, int rows, int width);
void live_view_paint_help(struct live_view *view, int rows, int width);

#endif
