/* Annotates a source file: see source.h. */
#include "source.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "memory.h"
#include "paths.h"
#include "summary.h"
#include "text.h"
#include "units.h"

#define CONTEXT_LINES 3
#define TAB_COLUMNS 8
#define WIDTH_FOR_LONG_UNITS 110
#define FIGURE_COUNT 4

static const enum measure figures[FIGURE_COUNT] = {PEAK_BYTES, LIVE_BYTES, ALLOCATED_BYTES, COPIED_BYTES};
static const char *const titles[FIGURE_COUNT] = {"peak", "live", "allocated", "copied"};
static const char *const short_titles[FIGURE_COUNT] = {"peak", "live", "alloc", "copied"};

/* ---- which file ---- */

/* What the recorded files are compared with: the name as typed, and its real path. */
static int match(const char *recorded, const char *wanted, const char *wanted_real)
{
    int best = paths_match(recorded, wanted);
    if (wanted_real && !strcmp(recorded, wanted_real))
        best = 3;
    return best;
}

_Noreturn static void fail_ambiguous(const struct reading *reading, sqlite3 *database, const char *wanted, int score)
{
    fflush(stdout);
    fprintf(stderr, "heapline: lines: several recorded files answer to '%s'; give more of the path:\n", wanted);
    sqlite3_stmt *row = query_prepare(database, "SELECT DISTINCT file FROM line_use_inclusive WHERE file IS NOT NULL ORDER BY file");
    while (query_step(row)) {
        const char *file = (const char *)sqlite3_column_text(row, 0);
        if (match(file, wanted, NULL) == score) {
            char *clean = text_clean(file, reading->terminal.unicode);
            fprintf(stderr, "  %s\n", clean);
            free(clean);
        }
    }
    exit(CLI_USAGE);
}

/* The recorded file that answers best to the name. malloc'ed. */
static char *find_file(const struct reading *reading, sqlite3 *database, const char *wanted)
{
    char *found = NULL, *real = realpath(wanted, NULL);
    int best = 0, count = 0;
    sqlite3_stmt *row = query_prepare(database, "SELECT DISTINCT file FROM line_use_inclusive WHERE file IS NOT NULL");
    while (query_step(row)) {
        int score = match((const char *)sqlite3_column_text(row, 0), wanted, real);
        if (score > best) {
            free(found);
            found = query_text_copy(row, 0);
            best = score;
            count = 0;
        }
        count += score && score == best;
    }
    free(real);
    if (!found)
        fail(CLI_USAGE, "lines: no recorded line is in a file named '%s'; 'heapline lines %s' shows the files there are", wanted, reading->trace);
    if (count > 1 && best < 3)
        fail_ambiguous(reading, database, wanted, best);
    return found;
}

/* What was bundled with the trace is the file as it was. */
static FILE *open_bundled(sqlite3 *database, const char *recorded)
{
    FILE *file = NULL;
    sqlite3_stmt *row = query_prepare(database, "SELECT text FROM source WHERE file = ?");
    sqlite3_bind_text(row, 1, recorded, -1, SQLITE_STATIC);
    if (query_step(row)) {
        size_t bytes = (size_t)sqlite3_column_bytes(row, 0);
        file = fmemopen(NULL, bytes + 1, "w+");
        if (!file || fwrite(sqlite3_column_text(row, 0), 1, bytes, file) != bytes)
            memory_exhausted();
        rewind(file);
        sqlite3_finalize(row);
    }
    return file;
}

static FILE *open_recorded(const struct reading *reading, const char *recorded)
{
    FILE *file = NULL;
    if (recorded[0] != '/' && reading->directory) {
        char *path = memory_format("%s/%s", reading->directory, recorded);
        file = fopen(path, "re");
        free(path);
    }
    return file ? file : fopen(recorded, "re");
}

static FILE *open_source(const struct reading *reading, const char *recorded, const char *wanted)
{
    FILE *file = open_recorded(reading, recorded);
    if (!file && strchr(wanted, '/'))
        file = fopen(wanted, "re");
    if (!file)
        warn("the source '%s' cannot be read (%s): its lines are shown without their text", recorded, strerror(errno));
    return file;
}

/* A source that was edited since would show figures beside the wrong lines. */
static void warn_if_newer(FILE *file, const char *name, int64_t start_realtime_ns)
{
    struct stat status;
    if (start_realtime_ns > 0 && fstat(fileno(file), &status) == 0 && status.st_mtime > start_realtime_ns / 1000000000 + 1)
        warn("'%s' has changed since the program was recorded: figures may stand beside the wrong lines", name);
}

char *source_text_copy(const struct reading *reading, sqlite3 *database, const char *recorded, int64_t max_bytes, int *ret_is_newer)
{
    int64_t start_ns = query_integer(database, "SELECT start_realtime_ns FROM summary");
    struct stat status;
    FILE *file = open_bundled(database, recorded);
    *ret_is_newer = 0;
    if (!file && (file = open_recorded(reading, recorded)) && fstat(fileno(file), &status) == 0)
        *ret_is_newer = start_ns > 0 && status.st_mtime > start_ns / 1000000000 + 1;
    if (!file)
        return NULL;
    char *text = memory_new((size_t)max_bytes + 1, 1);
    size_t bytes = fread(text, 1, (size_t)max_bytes + 1, file);
    fclose(file);
    if ((int64_t)bytes > max_bytes || memchr(text, 0, bytes)) {
        free(text);
        return NULL;
    }
    text[bytes] = '\0';
    return text;
}

/* ---- the text of the file, line by line ---- */

struct source_text {
    char **lines; /* lines[0] is line 1 */
    int64_t count;
};

static void add_line(struct source_text *text, char *line)
{
    if ((text->count & (text->count - 1)) == 0) {
        text->lines = memory_resize(text->lines, text->count ? 2 * (size_t)text->count : 1, sizeof *text->lines);
    }
    text->lines[text->count++] = line;
}

static char *expand_tabs(const char *line)
{
    size_t tabs = 0;
    for (const char *at = line; *at; at++)
        tabs += *at == '\t';
    char *result = memory_new(strlen(line) + tabs * TAB_COLUMNS + 1, 1), *out = result;
    for (; *line; line++) {
        if (*line != '\t') {
            *out++ = *line;
            continue;
        }
        do
            *out++ = ' ';
        while ((out - result) % TAB_COLUMNS);
    }
    *out = '\0';
    return result;
}

static void read_source(FILE *file, struct source_text *text)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    while ((length = getline(&line, &size, file)) >= 0) {
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        add_line(text, expand_tabs(line));
    }
    free(line);
}

static void free_source(struct source_text *text)
{
    for (int64_t i = 0; i < text->count; i++)
        free(text->lines[i]);
    free(text->lines);
}

/* ---- figures by line ---- */

struct annotation {
    struct source_text text;
    struct line_rows rows;
    struct line_row *by_line;  /* index: line; functions of one line summed */
    int64_t last_line;
    char *shown;               /* index: line; 0: skipped */
};

static void sum_by_line(struct annotation *annotation)
{
    for (int64_t i = 0; i < annotation->rows.count; i++)
        if (annotation->rows.rows[i].line > annotation->last_line && annotation->rows.rows[i].line < INT_MAX)
            annotation->last_line = annotation->rows.rows[i].line;
    if (annotation->text.count > annotation->last_line)
        annotation->last_line = annotation->text.count;
    annotation->by_line = memory_new((size_t)annotation->last_line + 1, sizeof *annotation->by_line);
    annotation->shown = memory_new((size_t)annotation->last_line + 1, 1);
    for (int64_t i = 0; i < annotation->rows.count; i++) {
        const struct line_row *row = &annotation->rows.rows[i];
        if (row->line < 0 || row->line > annotation->last_line)
            continue;
        annotation->by_line[row->line].kind = row->kind;
        for (int m = 0; m < MEASURE_COUNT; m++)
            annotation->by_line[row->line].measures[m] += row->measures[m];
    }
}

/* All of a file that can be read; else, and with a limit, only lines with figures and what is around them. */
static void choose_lines(struct annotation *annotation, int64_t limit)
{
    int whole = !limit && annotation->text.count;
    int context = annotation->text.count ? CONTEXT_LINES : 0;
    for (int64_t line = 1; whole && line <= annotation->last_line; line++)
        annotation->shown[line] = 1;
    for (int64_t i = 0; i < annotation->rows.count && (!limit || i < limit); i++)
        for (int64_t line = annotation->rows.rows[i].line - context; line <= annotation->rows.rows[i].line + context; line++)
            if (line > 0 && line <= annotation->last_line)
                annotation->shown[line] = 1;
}

/* How wide the columns of figures are: short units where the source needs the room. */
struct layout {
    int figure_width, number_width, text_width;
    int is_short;
};

static void find_layout(const struct terminal *terminal, int64_t last_line, struct layout *layout)
{
    layout->is_short = terminal->width < WIDTH_FOR_LONG_UNITS;
    layout->figure_width = layout->is_short ? 7 : 10;
    layout->number_width = snprintf(NULL, 0, "%lld", (long long)last_line);
    layout->text_width = terminal->width - FIGURE_COUNT * layout->figure_width - layout->number_width - 4;
}

static void print_figure(const struct terminal *terminal, const struct layout *layout, const struct line_row *row, int index)
{
    int64_t bytes = row->measures[figures[index]];
    if (!row->kind)
        fprintf(terminal->out, "%*s", layout->figure_width, "");
    else if (bytes == 0)
        fprintf(terminal->out, "%*s%s", layout->figure_width - 1, "", terminal_dot(terminal));
    else
        fprintf(terminal->out, "%*s", layout->figure_width, layout->is_short ? units_bytes_short(bytes).text : units_bytes(bytes).text);
}

static void print_line(const struct reading *reading, const struct annotation *annotation, const struct layout *layout, int64_t line)
{
    const struct terminal *terminal = &reading->terminal;
    const struct line_row *row = &annotation->by_line[line];
    for (int i = 0; i < FIGURE_COUNT; i++)
        print_figure(terminal, layout, row, i);
    terminal_print(terminal, STYLE_DIM, "  %*lld", layout->number_width, (long long)line);
    char *text = text_clean(line <= annotation->text.count ? annotation->text.lines[line - 1] : "", terminal->unicode);
    text_clip(text, layout->text_width, TEXT_CLIP_END, terminal_ellipsis(terminal));
    if (*text)
        terminal_print(terminal, row->kind ? STYLE_BOLD : STYLE_PLAIN, "  %s", text);
    fputc('\n', terminal->out);
    free(text);
}

static void print_titles(const struct terminal *terminal, const struct layout *layout)
{
    fputs(terminal_style(terminal, STYLE_DIM), terminal->out);
    for (int i = 0; i < FIGURE_COUNT; i++)
        fprintf(terminal->out, "%*s", layout->figure_width, layout->is_short ? short_titles[i] : titles[i]);
    fprintf(terminal->out, "  %*s  source%s\n", layout->number_width, "", terminal_style(terminal, STYLE_PLAIN));
}

static void print_total(const struct reading *reading, const struct annotation *annotation, const struct layout *layout)
{
    struct line_row total = annotation->rows.total;
    total.kind = "total";
    fputs(terminal_style(&reading->terminal, STYLE_BOLD), reading->terminal.out);
    for (int i = 0; i < FIGURE_COUNT; i++)
        print_figure(&reading->terminal, layout, &total, i);
    fprintf(reading->terminal.out, "  %*s  total of this file%s\n", layout->number_width, "", terminal_style(&reading->terminal, STYLE_PLAIN));
}

static const char *const next_commands[] = {
    "lines %s", "all lines of all files",
    "peak %s", "what was live at the peak, with stacks",
};

static void print_annotation(const struct reading *reading, const struct annotation *annotation, const char *file, int inclusive)
{
    const struct terminal *terminal = &reading->terminal;
    struct layout layout;
    int64_t before = 0;
    find_layout(terminal, annotation->last_line, &layout);
    char *clean = text_clean(file, terminal->unicode);
    terminal_print(terminal, STYLE_BOLD, "%s\n", clean);
    free(clean);
    print_titles(terminal, &layout);
    for (int64_t line = 1; line <= annotation->last_line; line++) {
        if (!annotation->shown[line])
            continue;
        if (before && line != before + 1)
            terminal_print(terminal, STYLE_DIM, "%*s\n", FIGURE_COUNT * layout.figure_width, terminal->unicode ? "⋮" : ":");
        print_line(reading, annotation, &layout, line);
        before = line;
    }
    if (!inclusive)
        print_total(reading, annotation, &layout);
    reading_next(reading, next_commands, 2);
}

static void write_annotation(const struct annotation *annotation, const char *file, int64_t limit, struct json *json)
{
    json_text(json, "source", file);
    json_array(json, "lines");
    for (int64_t i = 0; i < annotation->rows.count && (!limit || i < limit); i++) {
        const struct line_row *row = &annotation->rows.rows[i];
        json_object(json, NULL);
        line_row_json(&annotation->rows, row, json);
        json_text(json, "text", row->line > 0 && row->line <= annotation->text.count ? annotation->text.lines[row->line - 1] : NULL);
        json_object_end(json);
    }
    json_array_end(json);
}

void source_annotate(const struct reading *reading, sqlite3 *database, const char *wanted, const struct line_query *query, struct json *json)
{
    struct annotation annotation = {0};
    int64_t limit = reading_limit(reading, 0), start_ns = query_integer(database, "SELECT start_realtime_ns FROM summary");
    char *name = find_file(reading, database, wanted);
    FILE *file = open_bundled(database, name);
    if (!file)
        file = open_source(reading, name, wanted);
    if (file) {
        warn_if_newer(file, name, start_ns);
        read_source(file, &annotation.text);
        fclose(file);
    }
    line_rows_load(database,
                   &(struct line_query){.inclusive = query->inclusive, .order = query->order, .about = MEASURE_NONE, .file = name},
                   &annotation.rows);
    sum_by_line(&annotation);
    choose_lines(&annotation, limit);
    if (json)
        write_annotation(&annotation, name, limit, json);
    else
        print_annotation(reading, &annotation, name, query->inclusive);
    line_rows_free(&annotation.rows);
    free_source(&annotation.text);
    free(annotation.by_line);
    free(annotation.shown);
    free(name);
}
