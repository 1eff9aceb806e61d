/* Rows by source line as a table on the terminal (line_rows.h). */
#include <stdlib.h>
#include <string.h>

#include "attribution.h"
#include "count_interval.h"
#include "estimate.h"
#include "line_rows.h"
#include "memory.h"
#include "paths.h"
#include "table.h"
#include "units.h"

#define BAR_COLUMNS 10
/* Beside those of enum line_table_flag: behind the first measure, of bytes; behind each count. */
#define WITH_INTERVAL 0x100
#define WITH_COUNT_INTERVALS 0x200

char *line_place(const struct reading *reading, const char *file, int64_t line, const char *function)
{
    if (file && line > 0)
        return memory_format("%s:%lld", paths_shorten(file, reading->directory), (long long)line);
    if (file)
        return paths_module(file, terminal_ellipsis(&reading->terminal));
    return memory_copy(function && *function ? function : "(unknown)");
}

/* A sample doesn't tell. */
static int is_unknown(enum measure measure, int flags)
{
    return measure == TEMPORARY_ALLOCATIONS && flags & WITH_COUNT_INTERVALS;
}

/* The table's columns: place, function, measures, share and bar. Returns how many. */
static int describe_columns(struct table_column *columns, enum attribution by, const enum measure *shown, int flags)
{
    int count = 0;
    columns[count++] = (struct table_column){.title = attribution_column(by), .style = STYLE_PLACE, .flexible = 20, .clip_start = 1};
    columns[count++] = (struct table_column){.title = by == ATTRIBUTE_MODULE || by == ATTRIBUTE_TAG ? "" : "function", .flexible = 10, .expendable = 4};
    if (flags & LINE_TABLE_CALLERS)
        columns[count++] = (struct table_column){.title = "called from", .flexible = 17, .clip_start = 1, .expendable = 3};
    for (int i = 0; shown[i] != MEASURE_NONE; i++) {
        columns[count++] = (struct table_column){
            .title = measures[shown[i]].title,
            .align = TABLE_RIGHT,
            .style = i == 0 ? STYLE_BOLD : STYLE_PLAIN,
            .expendable = i == 0 ? 0 : measures[shown[i]].is_bytes ? 1 : is_unknown(shown[i], flags) ? 40 : 5 + i,
        };
        if (i == 0 && flags & WITH_INTERVAL)
            columns[count++] = (struct table_column){.title = "95 %", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 2};
        if (flags & WITH_COUNT_INTERVALS && count_interval_has(shown[i]))
            columns[count++] = (struct table_column){.title = "95 %", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 20 + i};
    }
    if (flags & LINE_TABLE_SHARE) {
        columns[count++] = (struct table_column){.title = "share", .align = TABLE_RIGHT};
        columns[count++] = (struct table_column){.title = "", .style = STYLE_BAR, .expendable = 2};
    }
    return count;
}

static void add_measure(struct table *table, const struct reading *reading, enum measure measure, int64_t value)
{
    if (value == 0)
        table_glyphs(table, terminal_dot(&reading->terminal));
    else if (measures[measure].is_bytes)
        table_cell(table, "%s", units_bytes(value).text);
    else
        table_cell(table, "%s", units_count(value).text);
}

/* Of a line. Sums of lines are of blocks of many sizes. */
static void add_interval(struct table *table, const struct line_row *row, enum measure bytes, int64_t sampling_interval_bytes)
{
    if (!sampling_interval_bytes || !row->measures[bytes + 1])
        table_cell(table, "%s", "");
    else
        table_cell(table, "%s", estimate_bytes_text(estimate_of_bytes(row->measures[bytes], row->measures[bytes + 1],
                                                                      sampling_interval_bytes)).text);
}

static void add_count_interval(struct table *table, const struct line_row *row, enum measure count)
{
    struct estimate_interval interval = count_interval_of(&row->error, count, row->measures[count]);
    int is_exact = interval.low == interval.high;
    table_cell(table, "%s", row->measures[count] && !is_exact ? estimate_count_text(interval).text : "");
}

/* sampling_interval_bytes 0: without an interval of bytes. */
static void add_row(struct table *table, const struct reading *reading, const struct line_row *row, const struct line_row *total,
                    const enum measure *shown, int flags, int64_t sampling_interval_bytes)
{
    for (int i = 0; shown[i] != MEASURE_NONE; i++) {
        add_measure(table, reading, shown[i], row->measures[shown[i]]);
        if (i == 0 && flags & WITH_INTERVAL)
            add_interval(table, row, shown[0], sampling_interval_bytes);
        if (flags & WITH_COUNT_INTERVALS && count_interval_has(shown[i]))
            add_count_interval(table, row, shown[i]);
    }
    if (flags & LINE_TABLE_SHARE) {
        char bar[BAR_COLUMNS * 4 + 1];
        double part = (double)row->measures[shown[0]], whole = (double)total->measures[shown[0]];
        table_cell(table, "%s", units_share(part, whole).text);
        terminal_bar(&reading->terminal, bar, whole > 0 ? part / whole : 0, BAR_COLUMNS);
        table_glyphs(table, row == total ? "" : bar);
    }
}

static void add_line(struct table *table, const struct reading *reading, const struct line_rows *rows, int64_t index, char *const *callers,
                     const enum measure *shown, int flags)
{
    const struct line_row *row = &rows->rows[index];
    char *place = line_place(reading, row->file, row->line, row->function);
    table_cell(table, "%s", place);
    table_cell(table, "%s", row->file && row->function ? row->function : "");
    if (flags & LINE_TABLE_CALLERS)
        table_cell(table, "%s", callers[index]);
    add_row(table, reading, row, &rows->total, shown, flags, rows->sampling_interval_bytes);
    free(place);
}

static void add_sum(struct table *table, const struct reading *reading, const char *name, const struct line_row *sum,
                    const struct line_row *total, const enum measure *shown, int flags)
{
    table_cell(table, "%s", name);
    table_cell(table, "%s", "");
    if (flags & LINE_TABLE_CALLERS)
        table_cell(table, "%s", "");
    add_row(table, reading, sum, total, shown, flags, 0);
}

/* One a row; *ret_any: does any row have one? */
static char **find_callers(const struct reading *reading, sqlite3 *database, const struct line_rows *rows, enum measure measure, int *ret_any)
{
    char **callers = memory_new((size_t)rows->count + 1, sizeof *callers);
    *ret_any = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        callers[i] = line_caller(reading, database, &rows->rows[i], measure);
        *ret_any |= *callers[i];
    }
    return callers;
}

void line_rows_table(const struct reading *reading, sqlite3 *database, const struct line_rows *rows, const enum measure *shown, int flags)
{
    struct table_column columns[2 * MEASURE_COUNT + 6];
    enum attribution by = attribution_parse(reading);
    int any = 0;
    char **callers = flags & LINE_TABLE_CALLERS ? find_callers(reading, database, rows, shown[0], &any) : NULL;
    if (callers && !any)
        flags &= ~LINE_TABLE_CALLERS;
    if (rows->sampling_interval_bytes && measures[shown[0]].is_bytes)
        flags |= WITH_INTERVAL;
    if (rows->knows_errors)
        flags |= WITH_COUNT_INTERVALS;
    struct table *table = table_new(&reading->terminal, columns, describe_columns(columns, by, shown, flags));
    char further[32];
    snprintf(further, sizeof further, "further %s", attribution_noun(by));
    for (int64_t i = 0; i < rows->count; i++)
        add_line(table, reading, rows, i, callers, shown, flags);
    if (rows->more_count) {
        add_sum(table, reading, units_noun(rows->more_count, further).text, &rows->more, &rows->total, shown, flags);
        table_row_style(table, STYLE_DIM);
    }
    if (flags & LINE_TABLE_TOTAL) {
        table_rule(table);
        add_sum(table, reading, "total", &rows->total, &rows->total, shown, flags);
        table_row_style(table, STYLE_BOLD);
    }
    table_print(table);
    table_free(table);
    for (int64_t i = 0; callers && i < rows->count; i++)
        free(callers[i]);
    free(callers);
}

int line_rows_explain(const struct reading *reading, const struct line_rows *rows, int said)
{
    static const struct { const char *row, *text; } notes[] = {
        {"arena slack", "room that Python keeps free for its next small objects"},
        {"(imports)", "what modules allocate as they are loaded; -a shows their lines"},
    };
    for (size_t note = 0; note < sizeof notes / sizeof *notes; note++)
        for (int64_t i = 0; i < rows->count && !(said & 1 << note); i++)
            if (!rows->rows[i].file && rows->rows[i].function && !strcmp(rows->rows[i].function, notes[note].row)) {
                terminal_print(&reading->terminal, STYLE_DIM, "  %s: %s\n", notes[note].row, notes[note].text);
                said |= 1 << note;
            }
    return said;
}
