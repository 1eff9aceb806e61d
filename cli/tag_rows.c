/* See tag_rows.h. */
#include "tag_rows.h"

#include <stdlib.h>

#include "count_interval.h"
#include "line_rows.h"
#include "table.h"
#include "text.h"
#include "units.h"

/* The view `tags`, with how far its counts may be from the truth. */
static const char tags_sql[] = "SELECT function, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, "
                               "temporary_allocations, copied_bytes, copies, " COUNT_ERROR_COLUMNS " FROM line_use_inclusive AS line "
                               "LEFT JOIN line_error_inclusive ON line_id = line.rowid WHERE kind = 'tag' "
                               "ORDER BY peak_bytes DESC, allocated_bytes DESC, function";

static void add_interval(struct table *table, sqlite3_stmt *row)
{
    struct count_error error = count_error_read(row, 1 + MEASURE_COUNT);
    struct estimate_interval interval = count_interval_of(&error, ALLOCATIONS, sqlite3_column_int64(row, 1 + ALLOCATIONS));
    table_cell(table, "%s", interval.low != interval.high ? estimate_count_text(interval).text : "");
}

void tag_rows_print(const struct reading *reading, sqlite3 *database, int64_t limit)
{
    struct table_column columns[7] = {
        {.title = "tag", .style = STYLE_PLACE, .flexible = 20},
        {.title = "peak", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "live at end", .align = TABLE_RIGHT, .expendable = 1},
        {.title = "allocated", .align = TABLE_RIGHT},
        {.title = "allocs", .align = TABLE_RIGHT, .expendable = 2},
    };
    int column_count = 5, knows_errors = count_errors_known(database);
    if (knows_errors)
        columns[column_count++] = (struct table_column){.title = "95 %", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 4};
    columns[column_count++] = (struct table_column){.title = "copied", .align = TABLE_RIGHT, .expendable = 3};
    int64_t count = 0;
    struct table *table = table_new(&reading->terminal, columns, column_count);
    sqlite3_stmt *row = query_prepare(database, tags_sql);
    while (query_step(row)) {
        if (limit && count++ >= limit)
            continue;
        char *tag = text_clean((const char *)sqlite3_column_text(row, 0), reading->terminal.unicode);
        if (!limit)
            count++;
        table_cell(table, "%s", tag);
        table_cell(table, "%s", units_bytes(sqlite3_column_int64(row, 1 + PEAK_BYTES)).text);
        table_cell(table, "%s", units_bytes(sqlite3_column_int64(row, 1 + LIVE_BYTES)).text);
        table_cell(table, "%s", units_bytes(sqlite3_column_int64(row, 1 + ALLOCATED_BYTES)).text);
        table_cell(table, "%s", units_count(sqlite3_column_int64(row, 1 + ALLOCATIONS)).text);
        if (knows_errors)
            add_interval(table, row);
        table_cell(table, "%s", units_bytes(sqlite3_column_int64(row, 1 + COPIED_BYTES)).text);
        free(tag);
    }
    if (count) {
        terminal_heading(&reading->terminal, "Tags", "with the tags inside them");
        table_print(table);
    }
    table_free(table);
    if (limit && count > limit)
        terminal_print(&reading->terminal, STYLE_DIM, "and %lld more: heapline lines --by tag\n", (long long)(count - limit));
}

void tag_rows_json(sqlite3 *database, struct json *json)
{
    const struct line_rows about = {.sampling_interval_bytes = query_sampling_interval(database), .knows_errors = count_errors_known(database)};
    sqlite3_stmt *row = query_prepare(database, tags_sql);
    json_array(json, "tags");
    while (query_step(row)) {
        struct line_row tag = {.error = count_error_read(row, 1 + MEASURE_COUNT)};
        json_object(json, NULL);
        json_text(json, "tag", (const char *)sqlite3_column_text(row, 0));
        for (int i = 0; i < MEASURE_COUNT; i++) {
            tag.measures[i] = sqlite3_column_int64(row, 1 + i);
            json_integer(json, measures[i].name, tag.measures[i]);
        }
        line_row_intervals_json(&about, &tag, json);
        json_object_end(json);
    }
    json_array_end(json);
}
