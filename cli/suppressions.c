/* Reads and applies suppressions of leaks: see suppressions.h. */
#include "suppressions.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "name_pattern.h"
#include "text.h"
#include "units.h"

const struct option_spec suppression_options[] = {
    {"suppressions", 0, OPTION_TEXT, offsetof(struct reading, suppressions), 0, "FILE",
     "leave out leaks that FILE names, in LeakSanitizer's format: lines of leak:PATTERN"},
    {0},
};

/* ---- the file ---- */

static void add_pattern(struct suppressions *suppressions, const char *pattern)
{
    size_t count = (size_t)suppressions->count + 1;
    suppressions->list = memory_resize(suppressions->list, count, sizeof *suppressions->list);
    suppressions->list[suppressions->count++] = (struct suppression){.pattern = memory_copy(pattern)};
}

static void read_line(struct suppressions *suppressions, const char *path, int number, char *line)
{
    static const char prefix[] = "leak:";
    size_t length = strlen(line);
    while (length && isspace((unsigned char)line[length - 1]))
        line[--length] = '\0';
    while (isspace((unsigned char)*line))
        line++;
    if (!*line || *line == '#')
        return;
    const char *pattern = line + strlen(prefix);
    if (strncmp(line, prefix, strlen(prefix)) || !*pattern) {
        char *clean = text_clean(line, 1);
        fail(CLI_INPUT, "%s:%d: '%s' is no suppression of leaks: leak:PATTERN is", path, number, clean);
    }
    add_pattern(suppressions, pattern);
}

void suppressions_load(const char *path, struct suppressions *ret_suppressions)
{
    char *line = NULL;
    size_t capacity = 0;
    int number = 0;
    *ret_suppressions = (struct suppressions){0};
    if (!path)
        return;
    FILE *file = fopen(path, "re");
    if (!file)
        fail(CLI_INPUT, "cannot read the suppressions in %s: %s", path, strerror(errno));
    errno = 0;
    while (getline(&line, &capacity, file) >= 0)
        read_line(ret_suppressions, path, ++number, line);
    if (ferror(file))
        fail(CLI_INPUT, "cannot read the suppressions in %s: %s", path, strerror(errno));
    free(line);
    fclose(file);
}

void suppressions_free(struct suppressions *suppressions)
{
    for (int i = 0; i < suppressions->count; i++)
        free(suppressions->list[i].pattern);
    free(suppressions->list);
    free(suppressions->matches);
    *suppressions = (struct suppressions){0};
}

void suppressions_begin_set(struct suppressions *suppressions)
{
    free(suppressions->matches);
    suppressions->matches = NULL;
}

/* ---- which ---- */

/* The first pattern that matches the frame; `count`: none. */
static int match_frame(const struct suppressions *suppressions, const struct set_frame *frame)
{
    int i = 0;
    while (i < suppressions->count && !name_pattern_matches(suppressions->list[i].pattern, frame->function) &&
           !name_pattern_matches(suppressions->list[i].pattern, frame->file) &&
           !name_pattern_matches(suppressions->list[i].pattern, frame->module))
        i++;
    return i;
}

static int match_stack(const struct suppressions *suppressions, const struct stack_set *set, uint32_t index)
{
    int best = suppressions->count, *matches = suppressions->matches;
    for (;; index = set->stacks[index].caller) {
        uint32_t frame = set->stacks[index].frame;
        if (frame && !matches[frame])
            matches[frame] = match_frame(suppressions, &set->frames[frame]) + 1;
        if (frame && matches[frame] - 1 < best)
            best = matches[frame] - 1;
        if (index <= SET_EMPTY)
            return best;
    }
}

static void count_stack(struct suppression *suppression, int64_t bytes, int64_t allocations)
{
    suppression->bytes += bytes;
    suppression->allocations += allocations;
    suppression->stacks += bytes || allocations;
}

int suppressions_match(struct suppressions *suppressions, const struct stack_set *set, uint32_t stack_index, int64_t bytes, int64_t allocations)
{
    if (!suppressions->count)
        return 0;
    if (!suppressions->matches)
        suppressions->matches = memory_new(set->frame_count, sizeof *suppressions->matches);
    int match = match_stack(suppressions, set, stack_index);
    if (match == suppressions->count)
        return 0;
    count_stack(&suppressions->list[match], bytes, allocations);
    count_stack(&suppressions->total, bytes, allocations);
    return 1;
}

/* ---- what is said of it ---- */

static void write_figures(struct json *json, const struct suppression *suppression)
{
    json_integer(json, "live_bytes", suppression->bytes);
    json_integer(json, "live_allocations", suppression->allocations);
    json_integer(json, "stacks", suppression->stacks);
}

void suppressions_json(const struct suppressions *suppressions, struct json *json)
{
    if (!suppressions->count)
        return;
    json_object(json, "suppressed");
    write_figures(json, &suppressions->total);
    json_array(json, "suppressions");
    for (int i = 0; i < suppressions->count; i++) {
        json_object(json, NULL);
        json_text(json, "pattern", suppressions->list[i].pattern);
        write_figures(json, &suppressions->list[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void print_pattern(const struct terminal *terminal, const struct suppression *suppression)
{
    char *clean = text_clean(suppression->pattern, terminal->unicode);
    fprintf(terminal->out, "%10s  in %-14s  ", units_bytes(suppression->bytes).text, units_noun(suppression->allocations, "block").text);
    text_clip(clean, terminal->width - 36, TEXT_CLIP_END, terminal_ellipsis(terminal));
    fprintf(terminal->out, "leak:%s\n", clean);
    free(clean);
}

void suppressions_print(const struct reading *reading, const struct suppressions *suppressions, int with_table)
{
    const struct terminal *terminal = &reading->terminal;
    int used = 0;
    for (int i = 0; i < suppressions->count; i++)
        used += suppressions->list[i].stacks > 0;
    if (!suppressions->count)
        return;
    fprintf(terminal->out, "\nSuppressed: %s in %s, from %s; %d of %s matched.\n", units_bytes(suppressions->total.bytes).text,
            units_noun(suppressions->total.allocations, "block").text, units_noun(suppressions->total.stacks, "stack").text, used,
            units_noun(suppressions->count, "suppression").text);
    for (int i = 0; with_table && i < suppressions->count; i++)
        if (suppressions->list[i].stacks)
            print_pattern(terminal, &suppressions->list[i]);
}
