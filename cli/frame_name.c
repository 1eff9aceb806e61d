/* Names frames in folded stacks: see frame_name.h. */
#include "frame_name.h"

#include "paths.h"

static void write_name(FILE *out, const char *text)
{
    for (; *text; text++)
        putc(*text == ';' ? ',' : (unsigned char)*text < ' ' ? ' ' : *text, out);
}

void frame_name_write(FILE *out, const struct set_frame *frame)
{
    write_name(out, frame->function ? frame->function : "?");
    const char *place = frame->file ? frame->file : frame->module;
    if (!place)
        return;
    fputs(" (", out);
    write_name(out, paths_base(place));
    if (frame->file && frame->line > 0)
        fprintf(out, ":%lld", (long long)frame->line);
    putc(')', out);
}
