/* Loads rows by source line: see line_rows.h. */
#include "line_rows.h"

#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "estimate.h"
#include "memory.h"

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

/* The condition that picks the rows, of the table and for the query. */
static void make_condition(const struct line_query *query, char *out, size_t size)
{
    char about[128] = "1";
    if (query->about == PEAK_BYTES || query->about == LIVE_BYTES || query->about == COPIED_BYTES || query->about == ALLOCATED_BYTES)
        snprintf(about, sizeof about, "(%s > 0 OR %s > 0)", measures[query->about].name, measures[query->about + 1].name);
    snprintf(out, size, "%s AS line LEFT JOIN %s ON line_id = line.rowid WHERE %s AND %s", query->inclusive ? "line_use_inclusive" : "line_use",
             query->inclusive ? "line_error_inclusive" : "line_error", about, query->file ? "file = ?1" : "1");
}

static char *make_sql(const struct line_query *query)
{
    char condition[320];
    make_condition(query, condition, sizeof condition);
    if (query->fold_imports)
        return memory_format("SELECT * FROM (SELECT file, line, function, kind, origin, " LINE_COLUMNS ", line.rowid, " COUNT_ERROR_COLUMNS
                             " FROM %s AND origin <> 'import'"
                             " UNION ALL SELECT NULL, NULL, '(imports)', 'python', 'import', " LINE_SUMS
                             ", 0, " COUNT_ERROR_SUMS " FROM %s AND origin = 'import' HAVING count(*) > 0) ORDER BY %s LIMIT %lld",
                             condition, condition, query->order, (long long)(query->limit ? query->limit : -1));
    return memory_format("SELECT file, line, function, kind, origin, " LINE_COLUMNS ", line.rowid, " COUNT_ERROR_COLUMNS
                         " FROM %s ORDER BY %s LIMIT %lld", condition, query->order, (long long)(query->limit ? query->limit : -1));
}

/* How many rows there are, limit or not, and their sums. */
static char *make_sum_sql(const struct line_query *query)
{
    char condition[320];
    make_condition(query, condition, sizeof condition);
    return memory_format("SELECT %s, " LINE_SUMS ", " COUNT_ERROR_SUMS " FROM %s",
                         query->fold_imports ? "coalesce(sum(origin <> 'import') + max(origin = 'import'), 0)" : "count(*)", condition);
}

static sqlite3_stmt *prepare(sqlite3 *database, const struct line_query *query, char *sql)
{
    sqlite3_stmt *statement = query_prepare(database, sql);
    if (query->file)
        sqlite3_bind_text(statement, 1, query->file, -1, SQLITE_TRANSIENT);
    free(sql);
    return statement;
}

static void read_row(sqlite3_stmt *statement, struct line_row *row)
{
    row->file = query_text_copy(statement, 0);
    row->line = sqlite3_column_int64(statement, 1);
    row->function = query_text_copy(statement, 2);
    row->kind = query_text_copy(statement, 3);
    row->origin = query_text_copy(statement, 4);
    row->line_id = sqlite3_column_int64(statement, 5 + MEASURE_COUNT);
    row->error = count_error_read(statement, 6 + MEASURE_COUNT);
}

static struct line_row *append_row(struct line_rows *rows)
{
    if ((rows->count & (rows->count - 1)) == 0) {
        size_t capacity = rows->count ? 2 * (size_t)rows->count : 1;
        rows->rows = memory_resize(rows->rows, capacity, sizeof *rows->rows);
    }
    struct line_row *row = &rows->rows[rows->count++];
    *row = (struct line_row){0};
    return row;
}

static void read_measures(sqlite3_stmt *statement, int first_column, struct line_row *sum)
{
    for (int i = 0; i < MEASURE_COUNT; i++)
        sum->measures[i] += sqlite3_column_int64(statement, first_column + i);
}

static void take_away(struct count_error *from, const struct count_error *error)
{
    from->peak -= error->peak;
    from->live -= error->live;
    from->allocations -= error->allocations;
    from->copies -= error->copies;
}

/* What the limit keeps out. */
static void load_rest(sqlite3 *database, const struct line_query *query, struct line_rows *rows)
{
    sqlite3_stmt *statement = prepare(database, query, make_sum_sql(query));
    if (!query_step(statement))
        return;
    rows->more_count = sqlite3_column_int64(statement, 0) - rows->count;
    read_measures(statement, 1, &rows->more);
    rows->more.error = count_error_read(statement, 1 + MEASURE_COUNT);
    sqlite3_finalize(statement);
    take_away(&rows->more.error, &rows->total.error);
    count_error_add(&rows->total.error, &rows->more.error);
    for (int i = 0; i < MEASURE_COUNT; i++) {
        rows->more.measures[i] -= rows->total.measures[i];
        rows->total.measures[i] += rows->more.measures[i];
    }
}

void line_rows_load(sqlite3 *database, const struct line_query *query, struct line_rows *ret_rows)
{
    sqlite3_stmt *statement = prepare(database, query, make_sql(query));
    struct line_rows rows = {0};
    while (query_step(statement)) {
        struct line_row *row = append_row(&rows);
        read_row(statement, row);
        read_measures(statement, 5, row);
        for (int i = 0; i < MEASURE_COUNT; i++)
            rows.total.measures[i] += row->measures[i];
        count_error_add(&rows.total.error, &row->error);
    }
    if (query->limit && rows.count == query->limit)
        load_rest(database, query, &rows);
    rows.sampling_interval_bytes = query_sampling_interval(database);
    rows.knows_errors = count_errors_known(database);
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

int line_row_interval(const struct line_rows *rows, const struct line_row *row, enum measure measure, struct estimate_interval *ret_interval)
{
    int64_t figure = row->measures[measure];
    if (!rows->sampling_interval_bytes || (!measures[measure].is_bytes && !(rows->knows_errors && count_interval_has(measure))))
        return 0;
    *ret_interval = measures[measure].is_bytes ? estimate_of_bytes(figure, row->measures[measure + 1] /* the count */, rows->sampling_interval_bytes)
                                               : count_interval_of(&row->error, measure, figure);
    return 1;
}

void line_row_intervals_json(const struct line_rows *rows, const struct line_row *row, struct json *json)
{
    struct estimate_interval interval;
    if (!rows->sampling_interval_bytes)
        return;
    json_object(json, ESTIMATE_KEY);
    for (enum measure m = 0; m < MEASURE_COUNT; m++)
        if (line_row_interval(rows, row, m, &interval))
            estimate_json(json, measures[m].name, interval);
    json_object_end(json);
}

void line_row_json(const struct line_rows *rows, const struct line_row *row, struct json *json)
{
    json_text(json, "file", row->file);
    json_line(json, "line", row->line);
    json_text(json, "function", row->function);
    json_text(json, "kind", row->kind);
    json_text(json, "origin", row->origin);
    for (int m = 0; m < MEASURE_COUNT; m++)
        json_integer(json, measures[m].name, row->measures[m]);
    line_row_intervals_json(rows, row, json);
}

void line_rows_json(const struct line_rows *rows, struct json *json, const char *key)
{
    json_array(json, key);
    for (int64_t i = 0; i < rows->count; i++) {
        json_object(json, NULL);
        line_row_json(rows, &rows->rows[i], json);
        json_object_end(json);
    }
    json_array_end(json);
}
