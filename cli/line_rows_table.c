/* Rows by source line as a table on the terminal (line_rows.h). */
#include <stdlib.h>
#include <string.h>

#include "attribution.h"
#include "line_rows.h"
#include "paths.h"
#include "table.h"
#include "units.h"

#define BAR_COLUMNS 10

char *line_place(const struct reading *reading, const char *file, int64_t line, const char *function)
{
    char *place;
    int length;
    if (file && line > 0)
        length = asprintf(&place, "%s:%lld", paths_shorten(file, reading->directory), (long long)line);
    else if (file)
        length = asprintf(&place, "%s", paths_base(file)); /* a module */
    else
        length = asprintf(&place, "%s", function && *function ? function : "(unknown)");
    if (length < 0)
        abort();
    return place;
}

/* The table's columns: place, function, measures, share and bar. Returns how many. */
static int describe_columns(struct table_column *columns, enum attribution by, const enum measure *shown, int flags)
{
    int count = 0;
    columns[count++] = (struct table_column){.title = attribution_column(by), .style = STYLE_PLACE, .flexible = 20, .clip_start = 1};
    columns[count++] = (struct table_column){.title = by == ATTRIBUTE_MODULE || by == ATTRIBUTE_TAG ? "" : "function", .flexible = 10, .expendable = 4};
    if (flags & LINE_TABLE_CALLERS)
        columns[count++] = (struct table_column){.title = "called from", .flexible = 17, .clip_start = 1, .expendable = 3};
    for (int i = 0; shown[i] != MEASURE_NONE; i++)
        columns[count++] = (struct table_column){
            .title = measures[shown[i]].title,
            .align = TABLE_RIGHT,
            .style = i == 0 ? STYLE_BOLD : STYLE_PLAIN,
            .expendable = i == 0 ? 0 : measures[shown[i]].is_bytes ? 1 : 5 + i,
        };
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

static void add_row(struct table *table, const struct reading *reading, const struct line_row *row, const struct line_row *total,
                    const enum measure *shown, int flags)
{
    for (int i = 0; shown[i] != MEASURE_NONE; i++)
        add_measure(table, reading, shown[i], row->measures[shown[i]]);
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
    add_row(table, reading, row, &rows->total, shown, flags);
    free(place);
}

static void add_sum(struct table *table, const struct reading *reading, const char *name, const struct line_row *sum,
                    const struct line_row *total, const enum measure *shown, int flags)
{
    table_cell(table, "%s", name);
    table_cell(table, "%s", "");
    if (flags & LINE_TABLE_CALLERS)
        table_cell(table, "%s", "");
    add_row(table, reading, sum, total, shown, flags);
}

/* One a row; *ret_any: does any row have one? */
static char **find_callers(const struct reading *reading, sqlite3 *database, const struct line_rows *rows, enum measure measure, int *ret_any)
{
    char **callers = calloc((size_t)rows->count + 1, sizeof *callers);
    if (!callers)
        abort();
    *ret_any = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        callers[i] = line_caller(reading, database, &rows->rows[i], measure);
        *ret_any |= *callers[i];
    }
    return callers;
}

void line_rows_table(const struct reading *reading, sqlite3 *database, const struct line_rows *rows, const enum measure *shown, int flags)
{
    struct table_column columns[MEASURE_COUNT + 5];
    enum attribution by = attribution_parse(reading);
    int any = 0;
    char **callers = flags & LINE_TABLE_CALLERS ? find_callers(reading, database, rows, shown[0], &any) : NULL;
    if (callers && !any)
        flags &= ~LINE_TABLE_CALLERS;
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
