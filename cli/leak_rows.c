/* Finds and ranks leak candidates: see leak_rows.h. */
#include "leak_rows.h"

#include <stdlib.h>
#include <string.h>

#include "line_rows.h"
#include "table.h"
#include "trend.h"
#include "units.h"

/* The windows of the run, and one stack's live bytes at the end of each. */
struct windows {
    int count, first;        /* `first`: the first one after the first quarter */
    int64_t *ids;
    double *end_seconds, *bytes;
};

static void load_windows(sqlite3 *database, struct windows *windows)
{
    int capacity = (int)query_integer(database, "SELECT count(*) FROM window");
    *windows = (struct windows){
        .ids = calloc((size_t)capacity + 1, sizeof *windows->ids),
        .end_seconds = calloc((size_t)capacity + 1, sizeof *windows->end_seconds),
        .bytes = calloc((size_t)capacity + 1, sizeof *windows->bytes),
    };
    if (!windows->ids || !windows->end_seconds || !windows->bytes)
        abort();
    sqlite3_stmt *row = query_prepare(database, "SELECT window_id, end_time_ns FROM window ORDER BY end_time_ns");
    while (query_step(row)) {
        windows->ids[windows->count] = sqlite3_column_int64(row, 0);
        windows->end_seconds[windows->count++] = (double)sqlite3_column_int64(row, 1) / 1e9;
    }
    windows->first = windows->count / 4;
}

static void free_windows(struct windows *windows)
{
    free(windows->ids);
    free(windows->end_seconds);
    free(windows->bytes);
}

/* Windows in which the stack held nothing are in no span. */
static void load_series(sqlite3_stmt *spans, int64_t stack_id, struct windows *windows)
{
    memset(windows->bytes, 0, (size_t)windows->count * sizeof *windows->bytes);
    sqlite3_reset(spans);
    sqlite3_bind_int64(spans, 1, stack_id);
    while (sqlite3_step(spans) == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(spans, 0), last = sqlite3_column_int64(spans, 1), bytes = sqlite3_column_int64(spans, 2);
        for (int i = 0; i < windows->count; i++)
            if (windows->ids[i] >= first && windows->ids[i] <= last)
                windows->bytes[i] = (double)bytes;
    }
}

static double at_most_one(double value)
{
    return value > 1 ? 1 : value;
}

static void judge(struct leak_row *row, const struct windows *windows)
{
    const double *bytes = windows->bytes + windows->first, *seconds = windows->end_seconds + windows->first;
    int count = windows->count - windows->first;
    double before = windows->first ? windows->bytes[windows->first - 1] : 0;
    row->window_count = count;
    row->first_bytes = (int64_t)before;
    for (int i = 0; i < count; i++)
        row->rising_windows += bytes[i] > (i ? bytes[i - 1] : before);
    double slope = trend_slope(seconds, bytes, count);
    row->growth_bytes_per_second = slope > 0 ? slope : 0;
    row->p = trend_rising_p(bytes, count);
    double late_share = row->live_bytes > 0 ? ((double)row->live_bytes - before) / (double)row->live_bytes : 0;
    if (late_share > 0)
        row->confidence = (1 - row->p) * at_most_one(2 * late_share) * at_most_one(row->rising_windows / 4.0);
}

static double score(const struct leak_row *row)
{
    return row->stack_id < 0 ? 0 : (double)row->live_bytes * (row->confidence + 0.05);
}

static int compare_rows(const void *a, const void *b)
{
    const struct leak_row *left = a, *right = b;
    if (score(left) != score(right))
        return score(left) < score(right) ? 1 : -1;
    if (left->live_bytes != right->live_bytes)
        return left->live_bytes < right->live_bytes ? 1 : -1;
    return (left->stack_id > right->stack_id) - (left->stack_id < right->stack_id);
}

static int64_t age(sqlite3_stmt *row, int column, int64_t end_ns)
{
    return sqlite3_column_type(row, column) == SQLITE_NULL ? -1 : end_ns - sqlite3_column_int64(row, column);
}

static struct leak_row *append_row(struct leak_rows *rows)
{
    if ((rows->count & (rows->count - 1)) == 0) {
        rows->rows = realloc(rows->rows, (rows->count ? 2 * (size_t)rows->count : 1) * sizeof *rows->rows);
        if (!rows->rows)
            abort();
    }
    struct leak_row *row = &rows->rows[rows->count++];
    *row = (struct leak_row){.p = 1};
    return row;
}

void leak_rows_load(sqlite3 *database, struct leak_rows *ret_rows)
{
    struct windows windows;
    struct leak_rows rows = {0};
    int64_t end_ns = query_integer(database, "SELECT duration_ns FROM summary");
    load_windows(database, &windows);
    sqlite3_stmt *spans = query_prepare(database, "SELECT first_window_id, last_window_id, live_bytes FROM live_span WHERE stack_id = ?1");
    sqlite3_stmt *live = query_prepare(database, "SELECT stack_id, live_bytes, live_allocations, oldest_live_ns, newest_live_ns FROM stack_use "
                                                 "WHERE live_bytes > 0 OR live_allocations > 0");
    while (query_step(live)) {
        struct leak_row *row = append_row(&rows);
        row->stack_id = sqlite3_column_int64(live, 0);
        row->live_bytes = sqlite3_column_int64(live, 1);
        row->live_allocations = sqlite3_column_int64(live, 2);
        row->oldest_ns = age(live, 3, end_ns);
        row->newest_ns = age(live, 4, end_ns);
        rows.live_bytes += row->live_bytes;
        load_series(spans, row->stack_id, &windows);
        if (row->stack_id >= 0)
            judge(row, &windows);
    }
    sqlite3_finalize(spans);
    free_windows(&windows);
    if (rows.count)
        qsort(rows.rows, (size_t)rows.count, sizeof *rows.rows, compare_rows);
    *ret_rows = rows;
}

void leak_rows_free(struct leak_rows *rows)
{
    free(rows->rows);
    *rows = (struct leak_rows){0};
}

void leak_evidence(const struct leak_row *row, char *out, size_t size)
{
    int used;
    if (row->stack_id < 0) {
        snprintf(out, size, "not a block: what no stack owns");
        return;
    }
    if (row->rising_windows == 0)
        used = snprintf(out, size, "did not grow after the first quarter of the run");
    else
        used = snprintf(out, size, "grew in %d of %d windows after the first quarter, %s to %s (p = %.2g)", row->rising_windows,
                        row->window_count, units_bytes(row->first_bytes).text, units_bytes(row->live_bytes).text, row->p);
    if (row->oldest_ns >= 0 && used > 0 && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, "; its oldest block is %s old, its newest %s", units_time(row->oldest_ns).text,
                 units_time(row->newest_ns).text);
}

/* ---- the report's section ---- */

static char *credited_place(const struct reading *reading, sqlite3_stmt *places, int64_t stack_id, char **ret_function)
{
    char *place = NULL;
    *ret_function = NULL;
    sqlite3_reset(places);
    sqlite3_bind_int64(places, 1, stack_id);
    if (sqlite3_step(places) == SQLITE_ROW) {
        place = line_place(reading, (const char *)sqlite3_column_text(places, 0), sqlite3_column_int64(places, 1),
                           (const char *)sqlite3_column_text(places, 2));
        *ret_function = query_text_copy(places, 2);
    }
    return place ? place : line_place(reading, NULL, 0, "(no stack)");
}

static void add_brief_row(const struct reading *reading, struct table *table, sqlite3_stmt *places, const struct leak_row *row)
{
    char *function, *place = credited_place(reading, places, row->stack_id, &function);
    table_cell(table, "%s", place);
    table_cell(table, "%s", function ? function : "");
    table_cell(table, "%s", units_bytes(row->live_bytes).text);
    table_cell(table, "%s", units_count(row->live_allocations).text);
    table_cell(table, "%s/s", units_bytes((int64_t)row->growth_bytes_per_second).text);
    table_cell(table, "%.2f", row->confidence);
    free(place);
    free(function);
}

void leak_rows_print_brief(const struct reading *reading, sqlite3 *database, const struct leak_rows *rows, int64_t limit)
{
    static const struct table_column columns[] = {
        {.title = "line", .style = STYLE_PLACE, .flexible = 26, .clip_start = 1},
        {.title = "function", .flexible = 12, .expendable = 3},
        {.title = "live", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "blocks", .align = TABLE_RIGHT, .expendable = 2},
        {.title = "growth", .align = TABLE_RIGHT},
        {.title = "confidence", .align = TABLE_RIGHT},
    };
    int64_t shown = 0;
    sqlite3_stmt *places = query_prepare(database, LEAK_PLACE_SQL);
    struct table *table = table_new(&reading->terminal, columns, 6);
    for (int64_t i = 0; i < rows->count && (!limit || shown < limit); i++) {
        if (rows->rows[i].confidence < LEAK_CONFIDENT)
            continue;
        add_brief_row(reading, table, places, &rows->rows[i]);
        shown++;
    }
    if (shown) {
        terminal_heading(&reading->terminal, "Leak candidates", "still growing when the run ended");
        table_print(table);
    }
    sqlite3_finalize(places);
    table_free(table);
}
