/* One stack as text: a line a frame, what no reader looks for folded (stack_rows.h). */
#include <stdlib.h>
#include <string.h>

#include "paths.h"
#include "stack_rows.h"
#include "text.h"

#define INDENT 12

enum fold { FOLD_NONE = 0, FOLD_IMPORT = 1, FOLD_LIBRARY = 2, FOLD_INTERPRETER = 4 };

/* Under Python frames what the interpreter does between them, and what begins every program. */
static int is_of_interpreter(const struct stack_frame *frame, int is_outside)
{
    if (!frame->kind || strcmp(frame->kind, "native"))
        return 0;
    return paths_is_interpreter(frame->module) || (is_outside && !strcmp(frame->origin, "system"));
}

/* The innermost frame always shows: it is what allocated. */
static enum fold fold_of(const struct reading *reading, const struct stack_frames *frames, int index)
{
    const char *origin = frames->frames[index].origin;
    if (reading->all_frames || index == 0 || !origin)
        return FOLD_NONE;
    if (frames->python_count && is_of_interpreter(&frames->frames[index], index >= frames->python_end))
        return FOLD_INTERPRETER;
    if (!strcmp(origin, "import"))
        return FOLD_IMPORT;
    return !strcmp(origin, "stdlib") ? FOLD_LIBRARY : FOLD_NONE;
}

static void print_folded(const struct reading *reading, int folds, int count)
{
    static const char *const words[] = {
        [FOLD_IMPORT] = "import", [FOLD_LIBRARY] = "standard library", [FOLD_IMPORT | FOLD_LIBRARY] = "import and standard library",
        [FOLD_INTERPRETER] = "interpreter", [FOLD_INTERPRETER | FOLD_IMPORT] = "import and interpreter",
        [FOLD_INTERPRETER | FOLD_LIBRARY] = "standard library and interpreter",
        [FOLD_INTERPRETER | FOLD_IMPORT | FOLD_LIBRARY] = "import, standard library and interpreter",
    };
    terminal_print(&reading->terminal, STYLE_DIM, "%*s%s %d %s frame%s %s\n", INDENT, "", terminal_ellipsis(&reading->terminal), count,
                   words[folds], count == 1 ? "" : "s", terminal_ellipsis(&reading->terminal));
}

static char *frame_place(const struct reading *reading, const struct stack_frame *frame)
{
    if (frame->kind && !strcmp(frame->kind, "cut"))
        return line_place(reading, NULL, 0, "(the frames from here outward are unknown)");
    if (frame->kind && !strcmp(frame->kind, "tag"))
        return line_place(reading, NULL, 0, "tag");
    if (frame->file)
        return line_place(reading, frame->file, frame->line, NULL);
    return line_place(reading, frame->module, 0, frame->function);
}

static char *cleaned_place(const struct reading *reading, const struct stack_frame *frame)
{
    char *place = frame_place(reading, frame), *clean = text_clean(place, reading->terminal.unicode);
    free(place);
    return clean;
}

static void print_frame(const struct reading *reading, const struct stack_frame *frame, int place_width)
{
    const struct terminal *terminal = &reading->terminal;
    char *place = cleaned_place(reading, frame);
    int has_place = frame->file || frame->module || (frame->kind && !strcmp(frame->kind, "tag"));
    char *function = text_clean(has_place && frame->function ? frame->function : "", terminal->unicode);
    text_clip(place, terminal->width - INDENT, TEXT_CLIP_START, terminal_ellipsis(terminal));
    int used = text_width(place) > place_width ? text_width(place) : place_width;
    fprintf(terminal->out, "%*s", INDENT, "");
    terminal_print(terminal, STYLE_PLACE, "%s", place);
    int room = terminal->width - INDENT - used - 2;
    if (*function && room > 3) {
        text_clip(function, room, TEXT_CLIP_END, terminal_ellipsis(terminal));
        fprintf(terminal->out, "%*s%s", used - text_width(place) + 2, "", function);
    }
    fputc('\n', terminal->out);
    free(function);
    free(place);
}

/* Of the frames that will show, for aligning the functions; bounded so that one long path does not push them all away. */
static int widest_place(const struct reading *reading, const struct stack_frames *frames, int limit)
{
    int widest = 0, bound = (reading->terminal.width - INDENT) * 2 / 3, lines = 0;
    for (int i = 0; i < frames->count && (!limit || lines < limit); i++) {
        if (fold_of(reading, frames, i) != FOLD_NONE)
            continue;
        char *place = cleaned_place(reading, &frames->frames[i]);
        int width = text_width(place);
        if (width > widest && width <= bound)
            widest = width;
        free(place);
        lines++;
    }
    return widest;
}

void stack_frames_print(const struct reading *reading, const struct stack_frames *frames, int limit)
{
    int width = widest_place(reading, frames, limit), lines = 0;
    if (frames->count == 0)
        terminal_print(&reading->terminal, STYLE_DIM, "%*s(no stack)\n", INDENT, "");
    for (int i = 0; i < frames->count; lines++) {
        if (limit && lines == limit) {
            terminal_print(&reading->terminal, STYLE_DIM, "%*s%s %d more frame%s\n", INDENT, "", terminal_ellipsis(&reading->terminal),
                           frames->count - i, frames->count - i == 1 ? "" : "s");
            return;
        }
        int run = 0, folds = 0;
        for (enum fold fold; i + run < frames->count && (fold = fold_of(reading, frames, i + run)) != FOLD_NONE; run++)
            folds |= fold;
        if (run)
            print_folded(reading, folds, run);
        else
            print_frame(reading, &frames->frames[i], width);
        i += run ? run : 1;
    }
}
