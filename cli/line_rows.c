/* Loads rows by source line: see line_rows.h. */
#include "line_rows.h"

#include <stdlib.h>
#include <string.h>

#define LINE_COLUMNS \
    "peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, temporary_allocations, copied_bytes, copies"
#define LINE_SUMS \
    "sum(peak_bytes), sum(peak_allocations), sum(live_bytes), sum(live_allocations), sum(allocated_bytes), sum(allocations), " \
    "sum(temporary_allocations), sum(copied_bytes), sum(copies)"

const struct measure_shape measures[MEASURE_COUNT] = {
    [PEAK_BYTES] = {"peak_bytes", "peak", "peak", 1},
    [PEAK_ALLOCATIONS] = {"peak_allocations", NULL, "at peak", 0},
    [LIVE_BYTES] = {"live_bytes", "live", "live at end", 1},
    [LIVE_ALLOCATIONS] = {"live_allocations", NULL, "live", 0},
    [ALLOCATED_BYTES] = {"allocated_bytes", "allocated", "allocated", 1},
    [ALLOCATIONS] = {"allocations", NULL, "allocs", 0},
    [TEMPORARY_ALLOCATIONS] = {"temporary_allocations", "temporary", "temporary", 0},
    [COPIED_BYTES] = {"copied_bytes", "copied", "copied", 1},
    [COPIES] = {"copies", NULL, "copies", 0},
};

const char *line_order(const struct reading *reading, enum measure otherwise)
{
    static char order[96];
    const char *name = reading->sort;
    if (!name)
        name = measures[otherwise].name;
    for (int i = 0; i < MEASURE_COUNT; i++)
        if (!strcmp(name, measures[i].name) || (measures[i].alias && !strcmp(name, measures[i].alias))) {
            snprintf(order, sizeof order, "%s DESC, allocated_bytes DESC, file, line, function", measures[i].name);
            return order;
        }
    if (!strcmp(name, "file") || !strcmp(name, "line"))
        return "file IS NULL, file, line, function";
    if (!strcmp(name, "function"))
        return "function, file, line";
    if (!strcmp(name, "kind"))
        return "kind DESC, allocated_bytes DESC, file, line, function";
    fail_usage(reading->command->name, "%s: cannot sort by '%s': there are file, line, function, kind, peak_bytes, peak_allocations, live_bytes, "
               "live_allocations, allocated_bytes, allocations, temporary_allocations, copied_bytes, copies", reading->command->name, name);
}

static char *make_sql(const struct line_query *query)
{
    const char *table = query->inclusive ? "line_use_inclusive" : "line_use";
    char about[128] = "1", *sql;
    if (query->about == PEAK_BYTES || query->about == LIVE_BYTES || query->about == COPIED_BYTES || query->about == ALLOCATED_BYTES)
        snprintf(about, sizeof about, "(%s > 0 OR %s > 0)", measures[query->about].name, measures[query->about + 1].name);
    const char *file = query->file ? "file = ?1" : "1";
    int length;
    if (query->fold_imports)
        length = asprintf(&sql,
                          "SELECT * FROM (SELECT file, line, function, kind, origin, " LINE_COLUMNS ", rowid FROM %s WHERE origin <> 'import' AND %s AND %s"
                          " UNION ALL SELECT NULL, NULL, '(imports)', 'python', 'import', " LINE_SUMS
                          ", 0 FROM %s WHERE origin = 'import' AND %s AND %s HAVING count(*) > 0) ORDER BY %s",
                          table, about, file, table, about, file, query->order);
    else
        length = asprintf(&sql, "SELECT file, line, function, kind, origin, " LINE_COLUMNS ", rowid FROM %s WHERE %s AND %s ORDER BY %s", table, about,
                          file, query->order);
    if (length < 0)
        abort();
    return sql;
}

static void read_row(sqlite3_stmt *statement, struct line_row *row)
{
    row->file = query_text_copy(statement, 0);
    row->line = sqlite3_column_int64(statement, 1);
    row->function = query_text_copy(statement, 2);
    row->kind = query_text_copy(statement, 3);
    row->origin = query_text_copy(statement, 4);
    row->line_id = sqlite3_column_int64(statement, 5 + MEASURE_COUNT);
}

static void add_measures(struct line_row *sum, const int64_t *values)
{
    for (int i = 0; i < MEASURE_COUNT; i++)
        sum->measures[i] += values[i];
}

static struct line_row *append_row(struct line_rows *rows)
{
    if ((rows->count & (rows->count - 1)) == 0) {
        size_t capacity = rows->count ? 2 * (size_t)rows->count : 1;
        rows->rows = realloc(rows->rows, capacity * sizeof *rows->rows);
        if (!rows->rows)
            abort();
    }
    struct line_row *row = &rows->rows[rows->count++];
    *row = (struct line_row){0};
    return row;
}

void line_rows_load(sqlite3 *database, const struct line_query *query, struct line_rows *ret_rows)
{
    char *sql = make_sql(query);
    sqlite3_stmt *statement = query_prepare(database, sql);
    struct line_rows rows = {0};
    if (query->file)
        sqlite3_bind_text(statement, 1, query->file, -1, SQLITE_TRANSIENT);
    while (query_step(statement)) {
        int64_t values[MEASURE_COUNT];
        for (int i = 0; i < MEASURE_COUNT; i++)
            values[i] = sqlite3_column_int64(statement, 5 + i);
        add_measures(&rows.total, values);
        if (query->limit && rows.count >= query->limit) {
            rows.more_count++;
            add_measures(&rows.more, values);
            continue;
        }
        struct line_row *row = append_row(&rows);
        read_row(statement, row);
        add_measures(row, values);
    }
    free(sql);
    *ret_rows = rows;
}

void line_rows_free(struct line_rows *rows)
{
    for (int64_t i = 0; i < rows->count; i++) {
        free(rows->rows[i].file);
        free(rows->rows[i].function);
        free(rows->rows[i].kind);
        free(rows->rows[i].origin);
    }
    free(rows->rows);
    *rows = (struct line_rows){0};
}

void line_row_json(const struct line_row *row, struct json *json)
{
    json_text(json, "file", row->file);
    if (row->line > 0)
        json_integer(json, "line", row->line);
    else
        json_null(json, "line");
    json_text(json, "function", row->function);
    json_text(json, "kind", row->kind);
    json_text(json, "origin", row->origin);
    for (int m = 0; m < MEASURE_COUNT; m++)
        json_integer(json, measures[m].name, row->measures[m]);
}

void line_rows_json(const struct line_rows *rows, struct json *json, const char *key)
{
    json_array(json, key);
    for (int64_t i = 0; i < rows->count; i++) {
        json_object(json, NULL);
        line_row_json(&rows->rows[i], json);
        json_object_end(json);
    }
    json_array_end(json);
}
