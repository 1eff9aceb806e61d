/* Rows by source line as a table on the terminal (line_rows.h). */
#include <stdlib.h>
#include <string.h>

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
static int describe_columns(struct table_column *columns, const enum measure *shown, int flags)
{
    int count = 0;
    columns[count++] = (struct table_column){.title = "line", .style = STYLE_PLACE, .flexible = 26, .clip_start = 1};
    columns[count++] = (struct table_column){.title = "function", .flexible = 12, .expendable = 3};
    for (int i = 0; shown[i] != MEASURE_NONE; i++)
        columns[count++] = (struct table_column){
            .title = measures[shown[i]].title,
            .align = TABLE_RIGHT,
            .style = i == 0 ? STYLE_BOLD : STYLE_PLAIN,
            .expendable = i == 0 ? 0 : measures[shown[i]].is_bytes ? 1 : 4 + i,
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

static void add_line(struct table *table, const struct reading *reading, const struct line_rows *rows, const struct line_row *row,
                     const enum measure *shown, int flags)
{
    char *place = line_place(reading, row->file, row->line, row->function);
    table_cell(table, "%s", place);
    table_cell(table, "%s", row->file && row->function ? row->function : "");
    add_row(table, reading, row, &rows->total, shown, flags);
    free(place);
}

void line_rows_table(const struct reading *reading, const struct line_rows *rows, const enum measure *shown, int flags)
{
    struct table_column columns[MEASURE_COUNT + 4];
    struct table *table = table_new(&reading->terminal, columns, describe_columns(columns, shown, flags));
    for (int64_t i = 0; i < rows->count; i++)
        add_line(table, reading, rows, &rows->rows[i], shown, flags);
    if (rows->more_count) {
        table_cell(table, "%s", units_noun(rows->more_count, "further line").text);
        table_cell(table, "%s", "");
        add_row(table, reading, &rows->more, &rows->total, shown, flags);
        table_row_style(table, STYLE_DIM);
    }
    if (flags & LINE_TABLE_TOTAL) {
        table_rule(table);
        table_cell(table, "total");
        table_cell(table, "%s", "");
        add_row(table, reading, &rows->total, &rows->total, shown, flags);
        table_row_style(table, STYLE_BOLD);
    }
    table_print(table);
    table_free(table);
}
