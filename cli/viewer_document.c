/* Writes what a page says of one process: see viewer_document.h. Columns of numbers, since those compress best and are read fastest. */
#include "viewer_document.h"

#include <stdlib.h>
#include <string.h>

#include "leak_rows.h"
#include "paths.h"
#include "stack_rows.h"
#include "summary.h"
#include "viewer_ranges.h"
#include "viewer_sources.h"
#include "viewer_strings.h"
#include "viewer_tree.h"

#define LEAK_ROWS 100

static void write_integers(struct json *json, const char *key, const int64_t *values, int64_t count)
{
    json_array(json, key);
    for (int64_t i = 0; i < count; i++)
        json_integer(json, NULL, values[i]);
    json_array_end(json);
}

static int64_t *allocate_column(int64_t count)
{
    int64_t *values = calloc((size_t)count + 1, sizeof *values);
    if (!values)
        abort();
    return values;
}

/* ---- totals ---- */

static void write_warnings(const struct reading *reading, const struct summary *summary, struct json *json)
{
    struct reading plain = *reading;
    char *text = NULL, *rest;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        abort();
    plain.terminal = (struct terminal){.out = out, .width = 10000, .unicode = 1};
    summary_print_warnings(&plain, summary);
    fclose(out);
    json_array(json, "warnings");
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        json_text(json, NULL, strncmp(line, "! ", 2) ? line : line + 2);
    json_array_end(json);
    free(text);
}

static void write_summary(const struct reading *reading, const struct summary *summary, struct json *json)
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
    int64_t capacity = 64, count = 0, *values = allocate_column(capacity * name_count);
    sqlite3_stmt *row = query_prepare(database, sql);
    while (query_step(row)) {
        if (count == capacity) {
            capacity *= 2;
            if (!(values = realloc(values, (size_t)(capacity * name_count) * sizeof *values)))
                abort();
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

static void write_timeline(sqlite3 *database, struct json *json)
{
    static const char *const names[] = {"time_ns", "heap_bytes", "heap_peak_bytes", "rss_bytes"};
    write_columns(database, json, "timeline", "SELECT time_ns, heap_bytes, heap_peak_bytes, rss_bytes FROM timeline ORDER BY time_ns", names, 4);
}

/* ---- frames and the tree ---- */

static const char *const kinds[] = {"python", "native", "cut"};
static const char *const origins[] = {"user", "package", "stdlib", "import", "native", "system"};

static int index_of(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (name && !strcmp(names[i], name))
            return (int)i;
    return -1;
}

static int kind_number(const char *kind)
{
    return index_of(kinds, sizeof kinds / sizeof *kinds, kind);
}

static int origin_number(const char *origin)
{
    return index_of(origins, sizeof origins / sizeof *origins, origin);
}

/* The frames that nodes name, numbered anew from 1; 0: none. By the set's frame. */
static uint32_t *number_frames(const struct viewer_tree *tree, uint32_t frame_count, uint32_t *ret_count)
{
    uint32_t *numbers = calloc(frame_count, sizeof *numbers);
    if (!numbers)
        abort();
    for (uint32_t i = 0; i < tree->node_count; i++)
        numbers[tree->nodes[i].frame] = numbers[tree->nodes[i].line_frame] = 1;
    numbers[0] = 0;
    *ret_count = 1;
    for (uint32_t i = 1; i < frame_count; i++)
        numbers[i] = numbers[i] ? (*ret_count)++ : 0;
    return numbers;
}

static void write_frames(const struct stack_set *set, const uint32_t *numbers, uint32_t count, struct viewer_strings *strings, struct json *json)
{
    enum { FUNCTION, FILE_NAME, LINE, MODULE, KIND, ORIGIN, COLUMN_COUNT };
    static const char *const names[] = {"function", "file", "line", "module", "kind", "origin"};
    int64_t *columns[COLUMN_COUNT];
    for (int i = 0; i < COLUMN_COUNT; i++)
        columns[i] = allocate_column(count);
    columns[KIND][0] = columns[ORIGIN][0] = -1;
    for (uint32_t i = 1; i < set->frame_count; i++) {
        const struct set_frame *frame = &set->frames[i];
        uint32_t to = numbers[i];
        if (!to)
            continue;
        columns[FUNCTION][to] = viewer_string(strings, frame->function);
        columns[FILE_NAME][to] = viewer_string(strings, frame->file);
        columns[LINE][to] = frame->line;
        columns[MODULE][to] = viewer_string(strings, frame->module);
        columns[KIND][to] = kind_number(frame->kind);
        columns[ORIGIN][to] = origin_number(frame->origin);
    }
    json_object(json, "frames");
    for (int i = 0; i < COLUMN_COUNT; i++) {
        write_integers(json, names[i], columns[i], count);
        free(columns[i]);
    }
    json_object_end(json);
}

static void write_nodes(const struct viewer_tree *tree, const uint32_t *numbers, struct json *json)
{
    int64_t *values = allocate_column(tree->node_count);
    json_object(json, "nodes");
    for (int column = 0; column < 5 + MEASURE_COUNT; column++) {
        static const char *const names[] = {"parent", "frame", "line_frame", "interpreter", "folded"};
        for (uint32_t i = 0; i < tree->node_count; i++) {
            const struct viewer_node *node = &tree->nodes[i];
            const int64_t fields[] = {i - node->parent, numbers[node->frame], numbers[node->line_frame], node->is_interpreter,
                                      node->frame ? 0 : node->folded_count};
            values[i] = column < 5 ? fields[column] : node->self[column - 5];
        }
        write_integers(json, column < 5 ? names[column] : measures[column - 5].name, values, tree->node_count);
    }
    json_object_end(json);
    free(values);
}

static void write_folded(const struct viewer_tree *tree, struct json *json)
{
    json_object(json, "folded");
    json_integer(json, "stacks", tree->folded_stacks);
    json_integer(json, "stacks_in_all", tree->stack_count);
    for (int i = 0; i < MEASURE_COUNT; i++)
        json_integer(json, measures[i].name, tree->folded[i]);
    json_object_end(json);
}

static void write_tree(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct viewer_bounds *bounds, struct viewer_strings *strings, struct json *json)
{
    struct stack_set set;
    struct viewer_tree tree;
    uint32_t frame_count;
    stack_set_load(database, &set);
    viewer_tree_build(database, &set, bounds->node_count, &tree);
    uint32_t *numbers = number_frames(&tree, set.frame_count, &frame_count);
    write_frames(&set, numbers, frame_count, strings, json);
    write_nodes(&tree, numbers, json);
    write_folded(&tree, json);
    viewer_ranges_write(reading->trace, &set, &tree, bounds->window_count, summary->duration_ns, json);
    free(numbers);
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
    int64_t *values = allocate_column(rows.count);
    json_object(json, key);
    for (int column = 0; column < 5 + MEASURE_COUNT; column++) {
        static const char *const names[] = {"file", "function", "line", "kind", "origin"};
        for (int64_t i = 0; i < rows.count; i++) {
            const struct line_row *row = &rows.rows[i];
            switch (column) {
            case 0: values[i] = viewer_string(strings, row->file); break;
            case 1: values[i] = viewer_string(strings, row->function); break;
            case 2: values[i] = row->line; break;
            case 3: values[i] = kind_number(row->kind); break;
            case 4: values[i] = origin_number(row->origin); break;
            default: values[i] = row->measures[column - 5];
            }
        }
        write_integers(json, column < 5 ? names[column] : measures[column - 5].name, values, rows.count);
    }
    json_integer(json, "more", rows.more_count);
    json_object_end(json);
    free(values);
    line_rows_free(&rows);
}

/* ---- leaks ---- */

static void write_leaks(const struct reading *reading, sqlite3 *database, struct json *json)
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

void viewer_document_process(const struct reading *reading, sqlite3 *database, const struct viewer_choice *choice,
                             const struct viewer_bounds *bounds, struct json *json)
{
    struct viewer_strings strings;
    struct summary summary;
    viewer_strings_init(&strings);
    summary_load(database, &summary);
    json_object(json, NULL);
    write_summary(reading, &summary, json);
    write_timeline(database, json);
    write_threads(database, json);
    write_tree(reading, database, &summary, bounds, &strings, json);
    write_lines(database, "lines", 0, bounds->line_count, &strings, json);
    write_lines(database, "lines_inclusive", 1, bounds->line_count, &strings, json);
    write_leaks(reading, database, json);
    viewer_sources_write(reading, database, choice, bounds->source_bytes, json);
    viewer_strings_write(&strings, reading->directory, json);
    json_object_end(json);
    summary_free(&summary);
    viewer_strings_done(&strings);
}
