/* See tag_rows.h. */
#include "tag_rows.h"

#include <stdlib.h>

#include "line_rows.h"
#include "table.h"
#include "text.h"
#include "units.h"

static const char tags_sql[] = "SELECT tag, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, "
                               "temporary_allocations, copied_bytes, copies FROM tags";

void tag_rows_print(const struct reading *reading, sqlite3 *database, int64_t limit)
{
    static const struct table_column columns[] = {
        {.title = "tag", .style = STYLE_PLACE, .flexible = 20},
        {.title = "peak", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "live at end", .align = TABLE_RIGHT, .expendable = 1},
        {.title = "allocated", .align = TABLE_RIGHT},
        {.title = "allocs", .align = TABLE_RIGHT, .expendable = 2},
        {.title = "copied", .align = TABLE_RIGHT, .expendable = 3},
    };
    int64_t count = 0;
    struct table *table = table_new(&reading->terminal, columns, 6);
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
    sqlite3_stmt *row = query_prepare(database, tags_sql);
    json_array(json, "tags");
    while (query_step(row)) {
        json_object(json, NULL);
        json_text(json, "tag", (const char *)sqlite3_column_text(row, 0));
        for (int i = 0; i < MEASURE_COUNT; i++)
            json_integer(json, measures[i].name, sqlite3_column_int64(row, 1 + i));
        json_object_end(json);
    }
    json_array_end(json);
}
