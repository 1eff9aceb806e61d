/* Exports of rows: 'csv' (a line of source a row, RFC 4180) and 'json' (lines and stacks with all their measures). */
#include <stdlib.h>

#include "count_interval.h"
#include "export.h"
#include "memory.h"
#include "stack_rows.h"
#include "text.h"

static const struct line_query all_lines = {.about = MEASURE_NONE, .order = "peak_bytes DESC, allocated_bytes DESC, file, line, function"};

/* ---- csv ---- */

/* Of a sample, behind the measures: both ends of each interval; nothing in them where there is none. */
static void write_csv_intervals(FILE *out, const struct line_rows *rows, const struct line_row *row)
{
    struct estimate_interval interval;
    for (enum measure m = 0; m < MEASURE_COUNT; m++)
        if (m == TEMPORARY_ALLOCATIONS)
            continue;
        else if (line_row_interval(rows, row, m, &interval))
            fprintf(out, ",%lld,%lld", (long long)interval.low, (long long)interval.high);
        else
            fputs(",,", out);
}

static void write_csv_row(FILE *out, const struct line_rows *rows, const struct line_row *row)
{
    text_csv_field(out, row->kind);
    putc(',', out);
    text_csv_field(out, row->file);
    putc(',', out);
    if (row->line > 0)
        fprintf(out, "%lld", (long long)row->line);
    putc(',', out);
    text_csv_field(out, row->function);
    for (int i = 0; i < MEASURE_COUNT; i++)
        fprintf(out, ",%lld", (long long)row->measures[i]);
    if (rows->sampling_interval_bytes)
        write_csv_intervals(out, rows, row);
    fputs("\r\n", out);
}

void export_csv(const struct export *export)
{
    struct line_rows rows;
    line_rows_load(export->database, &all_lines, &rows);
    fputs("kind,file,line,function", export->out);
    for (int i = 0; i < MEASURE_COUNT; i++)
        fprintf(export->out, ",%s", measures[i].name);
    for (enum measure m = 0; rows.sampling_interval_bytes && m < MEASURE_COUNT; m++)
        if (m != TEMPORARY_ALLOCATIONS)
            fprintf(export->out, ",%s_low_95,%s_high_95", measures[m].name, measures[m].name);
    fputs("\r\n", export->out);
    for (int64_t i = 0; i < rows.count; i++)
        write_csv_row(export->out, &rows, &rows.rows[i]);
    line_rows_free(&rows);
}

/* ---- json ---- */

/* Those of a stack, innermost first; the texts are the set's. */
static struct stack_frames frames_of(const struct stack_set *set, uint32_t stack, uint32_t *numbers, struct stack_frame *frames, uint32_t capacity)
{
    struct stack_frames result = {.frames = frames, .count = (int)export_frames(set, stack, numbers, capacity)};
    for (int i = 0; i < result.count; i++) {
        const struct set_frame *frame = &set->frames[numbers[result.count - 1 - i]];
        frames[i] = (struct stack_frame){frame->kind, frame->function, frame->file, frame->module, frame->origin, frame->line};
    }
    return result;
}

static void write_stacks(const struct export *export, struct json *json)
{
    const struct line_rows about = {.sampling_interval_bytes = query_sampling_interval(export->database),
                                    .knows_errors = count_errors_known(export->database)};
    struct stack_set set;
    stack_set_load(export->database, &set);
    uint32_t capacity = export_max_depth(&set), *numbers = memory_new(capacity, sizeof *numbers);
    struct stack_frame *frames = memory_new(capacity, sizeof *frames);
    sqlite3_stmt *row = query_prepare(export->database,
                                      "SELECT stack_id, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, "
                                      "temporary_allocations, copied_bytes, copies, " COUNT_ERROR_COLUMNS
                                      " FROM stack_use LEFT JOIN stack_error USING (stack_id) ORDER BY peak_bytes DESC, stack_id");
    json_array(json, "stacks");
    while (query_step(row)) {
        struct stack_frames stack = frames_of(&set, stack_set_index(&set, sqlite3_column_int64(row, 0)), numbers, frames, capacity);
        struct line_row figures = {.error = count_error_read(row, 1 + MEASURE_COUNT)};
        json_object(json, NULL);
        for (int i = 0; i < MEASURE_COUNT; i++) {
            figures.measures[i] = sqlite3_column_int64(row, 1 + i);
            json_integer(json, measures[i].name, figures.measures[i]);
        }
        line_row_intervals_json(&about, &figures, json);
        stack_frames_json(&stack, json);
        json_object_end(json);
    }
    json_array_end(json);
    free(frames);
    free(numbers);
    stack_set_free(&set);
}

void export_json(const struct export *export)
{
    struct json json;
    struct line_rows rows;
    json_begin(&json, export->out, "export");
    line_rows_load(export->database, &all_lines, &rows);
    line_rows_json(&rows, &json, "lines");
    line_rows_free(&rows);
    write_stacks(export, &json);
    json_end(&json);
}
