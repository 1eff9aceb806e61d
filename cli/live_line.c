/* A line of the picture: see live_view_parts.h. */
#include "live_view_parts.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void live_line_begin(struct live_line *line, const struct terminal *terminal, int columns)
{
    line->terminal = terminal;
    line->columns = columns;
    line->used = 0;
    line->bytes = 0;
    line->text[0] = '\0';
}

/* What takes no room on the screen, or is known to fit. */
static void append(struct live_line *line, const char *text, int columns)
{
    size_t bytes = strlen(text);
    if (line->bytes + bytes >= sizeof line->text)
        return;
    memcpy(line->text + line->bytes, text, bytes + 1);
    line->bytes += bytes;
    line->used += columns;
}

void live_line_text(struct live_line *line, const char *text, int columns, enum text_clip clip, int padded)
{
    int room = line->columns - line->used;
    char *clean = text_clean(text, line->terminal->unicode);
    if (columns > 0 && columns < room)
        room = columns;
    if (room > 0) {
        if (text_width(clean) > room)
            text_clip(clean, room, clip, terminal_ellipsis(line->terminal));
        int width = text_width(clean);
        append(line, clean, width);
        while (width++ < padded && line->used < line->columns)
            append(line, " ", 1);
    }
    free(clean);
}

void live_line_format(struct live_line *line, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    live_line_text(line, text, 0, TEXT_CLIP_END, 0);
}

void live_line_glyph(struct live_line *line, const char *glyph)
{
    if (line->used < line->columns)
        append(line, glyph, 1);
}

void live_line_pad(struct live_line *line, int column)
{
    while (line->used < column && line->used < line->columns)
        append(line, " ", 1);
}

void live_line_style(struct live_line *line, enum style style)
{
    append(line, terminal_style(line->terminal, style), 0);
}

void live_line_reverse(struct live_line *line)
{
    append(line, "\033[7m", 0);
}
