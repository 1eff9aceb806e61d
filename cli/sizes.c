/* heapline sizes: a histogram of block sizes, and which lines allocate which. */
#include <stdlib.h>
#include <string.h>

#include "estimate.h"
#include "line_rows.h"
#include "memory.h"
#include "size_classes.h"
#include "stack_set.h"
#include "summary.h"
#include "table.h"
#include "units.h"

#define LINES_SHOWN 10
#define BAR_COLUMNS 16

struct sizes_settings {
    struct reading reading;
    int lines;
};

static const struct option_spec sizes_options[] = {
    {"lines", 'l', OPTION_SET, offsetof(struct sizes_settings, lines), 1, NULL, "also by line: which sizes each line allocates, the busiest first"},
    {0},
};

/* ---- by line ---- */

struct line_sizes {
    uint32_t frame;
    double allocations, allocated_bytes;
    double class_allocations[SIZE_CLASSES], class_bytes[SIZE_CLASSES];
    struct size_error error, class_errors[SIZE_CLASSES];
};

struct line_list {
    struct stack_set set;
    struct line_sizes *lines;
    int64_t count;
};

static int compare_lines(const void *a, const void *b)
{
    const struct line_sizes *left = a, *right = b;
    if (left->allocations != right->allocations)
        return left->allocations < right->allocations ? 1 : -1;
    return (left->frame > right->frame) - (left->frame < right->frame);
}

static void load_lines(sqlite3 *database, const struct size_classes *sizes, struct line_list *list)
{
    uint32_t key_count;
    stack_set_load(database, &list->set);
    uint32_t *keys = stack_set_keys(database, &list->set, SET_BY_LINE, &key_count);
    list->lines = memory_new(key_count, sizeof *list->lines);
    for (size_t i = 0; i < sizes->stack_capacity; i++) {
        const struct stack_sizes *stack = &sizes->stacks[i];
        if (!stack->size_class)
            continue;
        uint32_t frame = list->set.stacks[stack_set_index(&list->set, stack->stack_id)].line_frame;
        struct line_sizes *line = &list->lines[keys[frame]];
        line->frame = frame;
        line->allocations += stack->allocations;
        line->allocated_bytes += stack->allocated_bytes;
        line->class_allocations[stack->size_class - 1] += stack->allocations;
        line->class_bytes[stack->size_class - 1] += stack->allocated_bytes;
        size_error_add(&line->error, &stack->error);
        size_error_add(&line->class_errors[stack->size_class - 1], &stack->error);
    }
    qsort(list->lines, key_count, sizeof *list->lines, compare_lines);
    while (list->count < key_count && list->lines[list->count].allocations > 0)
        list->count++;
    free(keys);
}

static void free_lines(struct line_list *list)
{
    stack_set_free(&list->set);
    free(list->lines);
}

/* ---- JSON ---- */

static int64_t whole(double value)
{
    return (int64_t)(value + 0.5);
}

static void write_figure(struct json *json, const char *name, double value, int is_known)
{
    if (is_known)
        json_integer(json, name, whole(value));
    else
        json_null(json, name);
}

static struct estimate_interval interval_of(double count, const struct size_error *error)
{
    return estimate_of_count(whole(count), error->variance, error->largest);
}

/* Into the object that is open. */
static void write_allocations_interval(struct json *json, double allocations, const struct size_error *error)
{
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "allocations", interval_of(allocations, error));
    json_object_end(json);
}

static void write_intervals(struct json *json, const struct size_class *size_class, const struct size_classes *sizes)
{
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "allocations", interval_of(size_class->allocations, &size_class->error));
    if (sizes->knows_peak)
        estimate_json(json, "peak_allocations", interval_of(size_class->peak_allocations, &size_class->peak_error));
    if (sizes->knows_end)
        estimate_json(json, "live_allocations", interval_of(size_class->live_allocations, &size_class->live_error));
    json_object_end(json);
}

static void write_bounds(struct json *json, unsigned size_class)
{
    json_integer(json, "least_bytes", (int64_t)size_class_least(size_class));
    json_integer(json, "most_bytes", (int64_t)size_class_most(size_class));
}

static void write_classes(struct json *json, const struct size_classes *sizes)
{
    json_array(json, "sizes");
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        const struct size_class *size_class = &sizes->classes[i];
        if (size_class->allocations <= 0 && size_class->live_allocations <= 0 && size_class->peak_allocations <= 0)
            continue;
        json_object(json, NULL);
        write_bounds(json, i);
        write_figure(json, "allocations", size_class->allocations, 1);
        write_figure(json, "allocated_bytes", size_class->allocated_bytes, 1);
        write_figure(json, "peak_allocations", size_class->peak_allocations, sizes->knows_peak);
        write_figure(json, "peak_bytes", size_class->peak_bytes, sizes->knows_peak);
        write_figure(json, "live_allocations", size_class->live_allocations, sizes->knows_end);
        write_figure(json, "live_bytes", size_class->live_bytes, sizes->knows_end);
        if (sizes->is_sampled)
            write_intervals(json, size_class, sizes);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_line(struct json *json, const struct set_frame *frame, const struct line_sizes *line, int is_sampled)
{
    json_object(json, NULL);
    json_text(json, "file", frame->file ? frame->file : frame->module);
    json_line(json, "line", frame->line);
    json_text(json, "function", frame->function);
    json_text(json, "kind", frame->kind);
    json_integer(json, "allocations", whole(line->allocations));
    json_integer(json, "allocated_bytes", whole(line->allocated_bytes));
    if (is_sampled)
        write_allocations_interval(json, line->allocations, &line->error);
    json_array(json, "sizes");
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        if (line->class_allocations[i] <= 0)
            continue;
        json_object(json, NULL);
        write_bounds(json, i);
        json_integer(json, "allocations", whole(line->class_allocations[i]));
        json_integer(json, "allocated_bytes", whole(line->class_bytes[i]));
        if (is_sampled)
            write_allocations_interval(json, line->class_allocations[i], &line->class_errors[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void write_sizes(const struct sizes_settings *settings, sqlite3 *database, const struct size_classes *sizes)
{
    struct json json;
    int64_t limit = reading_limit(&settings->reading, 0);
    json_begin(&json, stdout, "sizes");
    json_boolean(&json, "stream_truncated", !sizes->knows_end);
    write_classes(&json, sizes);
    if (settings->lines) {
        struct line_list list = {0};
        load_lines(database, sizes, &list);
        json_array(&json, "lines");
        for (int64_t i = 0; i < list.count && (!limit || i < limit); i++)
            write_line(&json, &list.set.frames[list.lines[i].frame], &list.lines[i], sizes->is_sampled);
        json_array_end(&json);
        free_lines(&list);
    }
    reading_json_end(&json);
}

/* ---- text ---- */

static struct unit_text class_text(unsigned size_class)
{
    struct unit_text text;
    if (size_class == 0)
        snprintf(text.text, sizeof text.text, "none");
    else
        snprintf(text.text, sizeof text.text, "%s", units_bytes((int64_t)size_class_most(size_class)).text);
    return text;
}

static void add_amount(struct table *table, const struct terminal *terminal, double value, int is_bytes)
{
    if (value <= 0)
        table_glyphs(table, terminal_dot(terminal));
    else
        table_cell(table, "%s", (is_bytes ? units_bytes(whole(value)) : units_count(whole(value))).text);
}

#define INTERVAL_COLUMN {.title = "95 %", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 4}

/* Without the column of intervals, which stands at this place, where figures are exact. */
static struct table *new_table(const struct terminal *terminal, const struct table_column *columns, int count, int interval_at, int is_sampled)
{
    struct table_column exact[16];
    memcpy(exact, columns, (size_t)interval_at * sizeof *columns);
    memcpy(exact + interval_at, columns + interval_at + 1, (size_t)(count - interval_at - 1) * sizeof *columns);
    return is_sampled ? table_new(terminal, columns, count) : table_new(terminal, exact, count - 1);
}

static void add_interval(struct table *table, double count, const struct size_error *error, int is_sampled)
{
    struct estimate_interval interval = interval_of(count, error);
    if (is_sampled)
        table_cell(table, "%s", whole(count) && interval.low != interval.high ? estimate_count_text(interval).text : "");
}

static void print_classes(const struct terminal *terminal, const struct size_classes *sizes)
{
    static const struct table_column columns[] = {
        {.title = "up to", .align = TABLE_RIGHT}, {.title = "allocs", .align = TABLE_RIGHT, .style = STYLE_BOLD}, INTERVAL_COLUMN,
        {.title = "share", .align = TABLE_RIGHT}, {.title = "", .style = STYLE_BAR, .expendable = 3},
        {.title = "allocated", .align = TABLE_RIGHT}, {.title = "share", .align = TABLE_RIGHT, .expendable = 1},
        {.title = "peak", .align = TABLE_RIGHT, .expendable = 1}, {.title = "live at end", .align = TABLE_RIGHT, .expendable = 2},
    };
    double allocations = 0, bytes = 0;
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        allocations += sizes->classes[i].allocations;
        bytes += sizes->classes[i].allocated_bytes;
    }
    struct table *table = new_table(terminal, columns, 9, 2, sizes->is_sampled);
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        const struct size_class *size_class = &sizes->classes[i];
        char bar[BAR_COLUMNS * 4 + 1];
        if (size_class->allocations <= 0 && size_class->live_allocations <= 0)
            continue;
        table_cell(table, "%s", class_text(i).text);
        add_amount(table, terminal, size_class->allocations, 0);
        add_interval(table, size_class->allocations, &size_class->error, sizes->is_sampled);
        table_cell(table, "%s", units_share(size_class->allocations, allocations).text);
        terminal_bar(terminal, bar, allocations > 0 ? size_class->allocations / allocations : 0, BAR_COLUMNS);
        table_glyphs(table, bar);
        add_amount(table, terminal, size_class->allocated_bytes, 1);
        table_cell(table, "%s", units_share(size_class->allocated_bytes, bytes).text);
        add_amount(table, terminal, size_class->peak_bytes, 1);
        add_amount(table, terminal, size_class->live_bytes, 1);
    }
    table_print(table);
    table_free(table);
}

/* The class that most of a line's allocations are in, and the span of all. */
static void add_line(const struct reading *reading, struct table *table, const struct set_frame *frame, const struct line_sizes *line,
                     int is_sampled)
{
    unsigned most = 0, first = SIZE_CLASSES, last = 0;
    for (unsigned i = 0; i < SIZE_CLASSES; i++) {
        if (line->class_allocations[i] <= 0)
            continue;
        first = first == SIZE_CLASSES ? i : first;
        last = i;
        most = line->class_allocations[i] > line->class_allocations[most] ? i : most;
    }
    char *place = line_place(reading, frame->file ? frame->file : frame->module, frame->file ? frame->line : 0, frame->function);
    table_cell(table, "%s", place);
    table_cell(table, "%s", frame->function ? frame->function : "");
    table_cell(table, "%s", units_count(whole(line->allocations)).text);
    add_interval(table, line->allocations, &line->error, is_sampled);
    table_cell(table, "%s", units_bytes(whole(line->allocated_bytes)).text);
    table_cell(table, "%s", units_bytes(whole(line->allocated_bytes / line->allocations)).text);
    table_cell(table, "%s (%s)", class_text(most).text, units_share(line->class_allocations[most], line->allocations).text);
    if (first == last)
        table_glyphs(table, terminal_dot(&reading->terminal));
    else
        table_cell(table, "%s to %s", class_text(first).text, class_text(last).text);
    free(place);
}

static void print_lines(const struct reading *reading, sqlite3 *database, const struct size_classes *sizes)
{
    static const struct table_column columns[] = {
        {.title = "line", .style = STYLE_PLACE, .flexible = 20, .clip_start = 1}, {.title = "function", .flexible = 10, .expendable = 3},
        {.title = "allocs", .align = TABLE_RIGHT, .style = STYLE_BOLD}, INTERVAL_COLUMN,
        {.title = "allocated", .align = TABLE_RIGHT, .expendable = 2}, {.title = "average", .align = TABLE_RIGHT}, {.title = "mostly up to", .align = TABLE_RIGHT},
        {.title = "classes", .align = TABLE_RIGHT, .expendable = 1},
    };
    struct line_list list = {0};
    int64_t limit = reading_limit(reading, LINES_SHOWN);
    load_lines(database, sizes, &list);
    terminal_heading(&reading->terminal, "By line", "the most allocations first");
    struct table *table = new_table(&reading->terminal, columns, 8, 3, sizes->is_sampled);
    for (int64_t i = 0; i < list.count && (!limit || i < limit); i++)
        add_line(reading, table, &list.set.frames[list.lines[i].frame], &list.lines[i], sizes->is_sampled);
    table_print(table);
    table_free(table);
    if (limit && list.count > limit)
        terminal_print(&reading->terminal, STYLE_DIM, "and %s (--limit 0 shows all)\n", units_noun(list.count - limit, "further line").text);
    free_lines(&list);
}

static const char *const next_commands[] = {
    "sizes --lines %s", "which lines allocate which sizes",
    "tree --cost temporary %s", "which calls allocate what is freed at once",
};

static void print_sizes(struct sizes_settings *settings, sqlite3 *database, const struct size_classes *sizes)
{
    struct reading *reading = &settings->reading;
    struct summary summary;
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    if (!sizes->knows_end)
        terminal_print(&reading->terminal, STYLE_WARNING, "! sizes are those of allocations before the trace reached its bound\n");
    summary_free(&summary);
    terminal_heading(&reading->terminal, "Block sizes", "in bytes asked for");
    print_classes(&reading->terminal, sizes);
    if (settings->lines)
        print_lines(reading, database, sizes);
    reading_next(reading, next_commands + (settings->lines ? 2 : 0), settings->lines ? 1 : 2);
}

static int run_sizes(int argc, char **argv)
{
    struct sizes_settings settings = {.reading = READING_INIT};
    struct size_classes sizes;
    reading_parse(&sizes_command, &settings.reading, argc, argv, 1);
    sqlite3 *database = reading_open(&settings.reading);
    size_classes_read(settings.reading.trace, &sizes);
    if (settings.reading.json)
        write_sizes(&settings, database, &sizes);
    else
        print_sizes(&settings, database, &sizes);
    size_classes_free(&sizes);
    reading_close(&settings.reading, database);
    return CLI_DONE;
}

const struct command sizes_command = {
    .name = "sizes",
    .question = "how large are the blocks, and who allocates which?",
    .usage = "[OPTIONS] TRACE",
    .description = "Counts allocations by size, in powers of two: how many, how many bytes, and what of each class was live at the peak and at the "
                   "end. Sizes are the ones that were asked for. Reads the events of the trace itself.",
    .examples = "heapline sizes app.heapline\n"
                "heapline sizes --lines app.heapline",
    .statuses = READING_STATUSES,
    .options = {sizes_options, limit_options, reading_options},
    .run = run_sizes,
};
