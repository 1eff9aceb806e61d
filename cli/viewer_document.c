/* Writes what a page says of one process: see viewer_document.h. */
#include "viewer_document.h"

#include <stdlib.h>
#include <string.h>

#include "leak_rows.h"
#include "memory.h"
#include "paths.h"
#include "stack_rows.h"
#include "viewer_columns.h"
#include "viewer_nodes.h"
#include "viewer_sources.h"
#include "viewer_strings.h"
#include "viewer_tree.h"

#define LEAK_ROWS 100

/* ---- totals ---- */

static void write_warnings(const struct reading *reading, const struct summary *summary, struct json *json)
{
    struct reading plain = *reading;
    char *text = NULL, *rest;
    size_t bytes;
    FILE *out = memory_stream(&text, &bytes);
    plain.terminal = (struct terminal){.out = out, .width = 10000, .unicode = 1};
    summary_print_warnings(&plain, summary);
    fclose(out);
    json_array(json, "warnings");
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        json_text(json, NULL, strncmp(line, "! ", 2) ? line : line + 2);
    json_array_end(json);
    free(text);
}

void viewer_document_summary(const struct reading *reading, const struct summary *summary, struct json *json)
{
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {
        {"pid", summary->pid}, {"parent_pid", summary->parent_pid}, {"start_realtime_ns", summary->start_realtime_ns},
        {"duration_ns", summary->duration_ns}, {"peak_bytes", summary->peak_bytes}, {"peak_time_ns", summary->peak_time_ns},
        {"peak_rss_bytes", summary->peak_rss_bytes}, {"event_count", summary->event_count}, {"allocated_bytes", summary->allocated_bytes},
        {"allocations", summary->allocations}, {"temporary_allocations", summary->temporary_allocations},
        {"live_bytes_at_end", summary->live_bytes_at_end}, {"live_allocations_at_end", summary->live_allocations_at_end},
        {"copied_bytes", summary->copied_bytes}, {"copies", summary->copies}, {"lost_events", summary->lost_events},
        {"sampling_interval_bytes", summary->sampling_interval_bytes}, {"peak_bytes_error", summary->peak_bytes_error},
        {"allocated_bytes_error", summary->allocated_bytes_error}, {"stream_end_ns", summary->stream_end_ns},
        {"events_from_ns", summary->events_from_ns},
    };
    char ending[64];
    summary_ending(summary->exit_kind, summary->exit_status, ending, sizeof ending);
    json_object(json, "summary");
    json_text(json, "trace", paths_base(reading->trace));
    json_text(json, "command", summary->command ? summary->command : summary->executable);
    json_text(json, "ending", ending);
    json_boolean(json, "complete", summary->complete != 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_integer(json, numbers[i].key, numbers[i].value);
    json_object_end(json);
    write_warnings(reading, summary, json);
}

/* ---- tables whose rows are columns here ---- */

/* The columns of a query, all integers (NULL: -1), as arrays of `names`. */
static void write_columns(sqlite3 *database, struct json *json, const char *key, const char *sql, const char *const *names, int name_count)
{
    int64_t capacity = 64, count = 0, *values = viewer_column_new(capacity * name_count);
    sqlite3_stmt *row = query_prepare(database, sql);
    while (query_step(row)) {
        if (count == capacity) {
            capacity *= 2;
            values = memory_resize(values, (size_t)(capacity * name_count), sizeof *values);
        }
        for (int i = 0; i < name_count; i++)
            values[count * name_count + i] = sqlite3_column_type(row, i) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, i);
        count++;
    }
    json_object(json, key);
    for (int i = 0; i < name_count; i++) {
        json_array(json, names[i]);
        for (int64_t at = 0; at < count; at++)
            json_integer(json, NULL, values[at * name_count + i]);
        json_array_end(json);
    }
    json_object_end(json);
    free(values);
}

void viewer_document_timeline(sqlite3 *database, struct json *json)
{
    static const char *const names[] = {"time_ns", "heap_bytes", "heap_peak_bytes", "rss_bytes"};
    write_columns(database, json, "timeline", "SELECT time_ns, heap_bytes, heap_peak_bytes, rss_bytes FROM timeline ORDER BY time_ns", names, 4);
}

/* ---- the tree ---- */

static void write_tree(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct viewer_run *run,
                       const struct viewer_bounds *bounds, struct viewer_strings *strings, struct json *json)
{
    struct stack_set set;
    struct viewer_tree tree;
    stack_set_load(database, &set);
    viewer_tree_build(database, &set, bounds->node_count, &tree);
    viewer_nodes_write(&set, &tree, NULL, strings, json);
    viewer_ranges_write(reading->trace, summary, run, &set, &tree, bounds->window_count, json);
    viewer_tree_free(&tree);
    stack_set_free(&set);
}

static void write_threads(sqlite3 *database, struct json *json)
{
    sqlite3_stmt *row = query_prepare(database, "SELECT thread_id, kernel_id, name FROM thread ORDER BY thread_id");
    json_array(json, "threads");
    while (query_step(row)) {
        char *name = query_text_copy(row, 2);
        json_object(json, NULL);
        json_integer(json, "thread_id", sqlite3_column_int64(row, 0));
        json_integer(json, "kernel_id", sqlite3_column_int64(row, 1));
        json_text(json, "name", name);
        json_object_end(json);
        free(name);
    }
    json_array_end(json);
}

/* ---- lines ---- */

static void write_lines(sqlite3 *database, const char *key, int inclusive, int64_t limit, struct viewer_strings *strings, struct json *json)
{
    struct line_rows rows;
    line_rows_load(database, &(struct line_query){.inclusive = inclusive, .about = MEASURE_NONE, .limit = limit,
                                                  .order = "peak_bytes DESC, allocated_bytes DESC, file, line, function"}, &rows);
    int64_t *values = viewer_column_new(rows.count);
    json_object(json, key);
    for (int column = 0; column < 5 + MEASURE_COUNT; column++) {
        static const char *const names[] = {"file", "function", "line", "kind", "origin"};
        for (int64_t i = 0; i < rows.count; i++) {
            const struct line_row *row = &rows.rows[i];
            switch (column) {
            case 0: values[i] = viewer_string(strings, row->file); break;
            case 1: values[i] = viewer_string(strings, row->function); break;
            case 2: values[i] = row->line; break;
            case 3: values[i] = viewer_kind_number(row->kind); break;
            case 4: values[i] = viewer_origin_number(row->origin); break;
            default: values[i] = row->measures[column - 5];
            }
        }
        viewer_column_write(json, column < 5 ? names[column] : measures[column - 5].name, values, rows.count);
    }
    json_integer(json, "more", rows.more_count);
    json_object_end(json);
    free(values);
    line_rows_free(&rows);
}

/* ---- leaks ---- */

void viewer_document_leaks(const struct reading *reading, sqlite3 *database, struct json *json)
{
    struct suppressions suppressions;
    struct leak_rows rows;
    struct stack_walker walker;
    suppressions_load(reading->suppressions, &suppressions);
    leak_rows_load(database, &suppressions, 0, &rows);
    stack_walker_init(&walker, database);
    json_object(json, "leaks");
    json_integer(json, "live_bytes", rows.live_bytes);
    json_integer(json, "judged_ns", rows.judged_ns);
    json_integer(json, "growing", rows.confident_count);
    json_array(json, "window_end_ns");
    for (int i = 0; i < rows.window_count; i++)
        json_integer(json, NULL, (int64_t)(rows.seconds[i] * 1e9 + 0.5));
    json_array_end(json);
    json_array(json, "candidates");
    for (int64_t i = 0; i < rows.count && i < LEAK_ROWS; i++)
        leak_candidate_json(json, &rows, &rows.rows[i], &walker);
    json_array_end(json);
    json_integer(json, "more", rows.count > LEAK_ROWS ? rows.count - LEAK_ROWS : 0);
    json_object_end(json);
    stack_walker_done(&walker);
    leak_rows_free(&rows);
    suppressions_free(&suppressions);
}

void viewer_document_process(const struct reading *reading, sqlite3 *database, const struct viewer_choice *choice, const struct viewer_run *run,
                             const struct viewer_bounds *bounds, struct json *json)
{
    struct viewer_strings strings;
    struct summary summary;
    viewer_strings_init(&strings);
    summary_load(database, &summary);
    json_object(json, NULL);
    viewer_document_summary(reading, &summary, json);
    viewer_document_timeline(database, json);
    write_threads(database, json);
    write_tree(reading, database, &summary, run, bounds, &strings, json);
    write_lines(database, "lines", 0, bounds->line_count, &strings, json);
    write_lines(database, "lines_inclusive", 1, bounds->line_count, &strings, json);
    viewer_document_leaks(reading, database, json);
    viewer_sources_write(reading, database, choice, bounds->source_bytes, json);
    viewer_strings_write(&strings, reading->directory, json);
    json_object_end(json);
    summary_free(&summary);
    viewer_strings_done(&strings);
}
