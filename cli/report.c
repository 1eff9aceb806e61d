/* heapline report: the one-screen answer. `run` prints it when the program ends. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "estimate.h"
#include "leak_rows.h"
#include "line_rows.h"
#include "memory.h"
#include "paths.h"
#include "process_list.h"
#include "report_database.h"
#include "summary.h"
#include "suppressions.h"
#include "table.h"
#include "tag_rows.h"
#include "text.h"
#include "trace_event.h"
#include "units.h"

#define SECTION_ROWS 5
#define FIGURE_WIDTH 10

static const struct threshold_value threshold_names[] = {
    {"peak", 1, 0}, {"rss", 1, 0}, {"allocated", 1, 0}, {"live", 1, 0}, {"copied", 1, 0}, {"lost", 0, 0},
};
#define THRESHOLD_COUNT 6
#define THRESHOLD_LIVE 3 /* what is suppressed does not count for it */

static void fill_thresholds(const struct summary *summary, struct threshold_value *values)
{
    const int64_t figures[THRESHOLD_COUNT] = {summary->peak_bytes, summary->peak_rss_bytes, summary->allocated_bytes,
                                              summary->live_bytes_at_end, summary->copied_bytes, summary->lost_events};
    memcpy(values, threshold_names, sizeof threshold_names);
    for (int i = 0; i < THRESHOLD_COUNT; i++)
        values[i].value = figures[i];
}

/* ---- text ---- */

static void print_figure(const struct terminal *terminal, const char *name, int64_t bytes, const char *remark)
{
    fprintf(terminal->out, "  %-10s", name);
    terminal_print(terminal, STYLE_BOLD, "%*s", FIGURE_WIDTH, units_bytes(bytes).text);
    terminal_print(terminal, STYLE_DIM, "  %s\n", remark);
}

/* "in 1,310 allocations (1,200 to 1,430)", or without an interval. Appends to `out`. */
static void add_count(char *out, size_t size, const struct summary *summary, enum measure measure, int64_t count, const char *noun)
{
    struct estimate_interval interval;
    int is_estimate = summary_count_interval(summary, measure, &interval) && interval.low != interval.high;
    size_t used = strlen(out);
    used += (size_t)snprintf(out + used, size - used, "in %s", units_noun(count, noun).text);
    if (is_estimate)
        snprintf(out + used, size - used, " (%s)", estimate_count_text(interval).text);
}

static void print_figures(const struct reading *reading, const struct summary *summary)
{
    const struct terminal *terminal = &reading->terminal;
    char remark[200];
    int is_sampled = summary->sampling_interval_bytes != 0;
    snprintf(remark, sizeof remark, "at %s", units_time(summary->peak_time_ns).text);
    if (is_sampled)
        snprintf(remark, sizeof remark, "95 %%: %s, at %s", estimate_bytes_text(summary_peak_interval(summary)).text,
                 units_time(summary->peak_time_ns).text);
    fputc('\n', terminal->out);
    print_figure(terminal, "peak", summary->peak_bytes, remark);
    if (summary->peak_rss_bytes)
        print_figure(terminal, "RSS peak", summary->peak_rss_bytes,
                     summary->peak_rss_bytes < summary->peak_bytes ? "resident: not all that was asked for was touched"
                                                                   : "resident, with code, stacks and what allocators keep");
    snprintf(remark, sizeof remark, "in %s, %s of them temporary", units_noun(summary->allocations, "allocation").text,
             units_share((double)summary->temporary_allocations, (double)summary->allocations).text);
    if (is_sampled) {
        snprintf(remark, sizeof remark, "95 %%: %s, ", estimate_bytes_text(summary_allocated_interval(summary)).text);
        add_count(remark, sizeof remark, summary, ALLOCATIONS, summary->allocations, "allocation");
    }
    print_figure(terminal, "allocated", summary->allocated_bytes, remark);
    *remark = '\0';
    add_count(remark, sizeof remark, summary, COPIES, summary->copies, "copy");
    print_figure(terminal, "copied", summary->copied_bytes, remark);
    *remark = '\0';
    add_count(remark, sizeof remark, summary, LIVE_ALLOCATIONS, summary->live_allocations_at_end, "block");
    print_figure(terminal, "at the end", summary->live_bytes_at_end, remark);
}

static void print_sparkline(const struct reading *reading, sqlite3 *database, const struct summary *summary)
{
    const struct terminal *terminal = &reading->terminal;
    struct unit_text end = units_time(summary->duration_ns);
    int columns = terminal->width - 15 - (int)strlen(end.text);
    columns = columns > 100 ? 100 : columns;
    char *line = memory_new((size_t)columns * 4 + 1, 1);
    summary_sparkline(reading, database, summary, line, columns);
    fprintf(terminal->out, "\n  heap      0 ");
    terminal_print(terminal, STYLE_BAR, "%s", line);
    fprintf(terminal->out, " %s\n", end.text);
    free(line);
}

struct section {
    const char *title;
    enum measure about;
    enum measure shown[4];
};

static const struct section sections[] = {
    {"Held at the peak", PEAK_BYTES, {PEAK_BYTES, PEAK_ALLOCATIONS, MEASURE_NONE}},
    {"Allocated most", ALLOCATED_BYTES, {ALLOCATED_BYTES, ALLOCATIONS, TEMPORARY_ALLOCATIONS, MEASURE_NONE}},
    {"Copied most", COPIED_BYTES, {COPIED_BYTES, COPIES, MEASURE_NONE}},
};
#define SECTION_COUNT 3

static const char *section_order(enum measure about)
{
    static char order[64];
    snprintf(order, sizeof order, "%s DESC, file, line, function", measures[about].name);
    return order;
}

static void load_section(const struct reading *reading, sqlite3 *database, enum measure about, int64_t limit, struct line_rows *rows)
{
    line_rows_load(database,
                   &(struct line_query){.order = section_order(about), .about = about, .limit = limit,
                                        .fold_imports = !reading->json && !reading->all_frames},
                   rows);
}

static void print_section(const struct reading *reading, sqlite3 *database, const struct section *section, int *said)
{
    struct line_rows rows;
    load_section(reading, database, section->about, reading_limit(reading, SECTION_ROWS), &rows);
    if (rows.count) {
        terminal_heading(&reading->terminal, section->title, NULL);
        line_rows_table(reading, database, &rows, section->shown, LINE_TABLE_SHARE | LINE_TABLE_CALLERS);
        *said = line_rows_explain(reading, &rows, *said);
    }
    line_rows_free(&rows);
}

static const char *const next_commands[] = {
    "leaks --all-processes %s", "which lines keep growing in any of its processes",
    "peak %s", "what held it, with stacks",
    "lines %s", "every line; --source FILE annotates a file",
    "tree --bottom-up %s", "who called those functions",
};

/* What holds the most is a function of the program without a line: an allocator's wrapper, like as not, so that its callers matter. */
static int largest_has_no_line(sqlite3 *database)
{
    return query_integer(database, "SELECT kind = 'native' AND origin = 'native' AND line IS NULL FROM line_use ORDER BY peak_bytes DESC LIMIT 1") != 0;
}

static int recorded_count(const struct process_list *processes)
{
    int count = 0;
    for (uint32_t i = 0; i < processes->count; i++)
        count += !processes->processes[i].unrecorded;
    return count;
}

static void print_report(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct process_list *processes,
                         const struct leak_rows *leaks, const struct suppressions *suppressions)
{
    int said = 0, has_several = recorded_count(processes) > 1;
    summary_print_title(reading, summary);
    summary_print_warnings(reading, summary);
    process_list_print_unrecorded(reading, processes);
    print_figures(reading, summary);
    print_sparkline(reading, database, summary);
    for (int i = 0; i < SECTION_COUNT; i++)
        print_section(reading, database, &sections[i], &said);
    tag_rows_print(reading, database, reading_limit(reading, SECTION_ROWS));
    leak_rows_print_brief(reading, leaks, reading_limit(reading, 3));
    suppressions_print(reading, suppressions, 0);
    process_list_print(reading, processes, reading_limit(reading, 10));
    reading_next(reading, next_commands + (has_several ? 0 : 2), (largest_has_no_line(database) ? 3 : 2) + has_several);
}

/* ---- JSON ---- */

/* The whole run is one span too, unless it began paused. */
static void write_spans(struct json *json, const struct summary *summary)
{
    const char *at = summary->recorded ? summary->recorded : "0-";
    struct recorded_span span;
    json_array(json, "recorded");
    while (summary_next_span(&at, summary->duration_ns, &span)) {
        json_object(json, NULL);
        json_integer(json, "start_ns", span.start_ns);
        json_integer(json, "end_ns", span.end_ns);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_sampling_changes(struct json *json, const struct summary *summary)
{
    const char *at = summary->sampling_changes;
    struct sampling_span span;
    json_array(json, "sampling_changes");
    while (summary_next_sampling(&at, &span)) {
        json_object(json, NULL);
        json_integer(json, "start_ns", span.start_ns);
        json_integer(json, "sampling_interval_bytes", span.interval_bytes);
        json_object_end(json);
    }
    json_array_end(json);
}

static void write_changed_modules(struct json *json, const char *paths)
{
    json_array(json, "changed_modules");
    while (paths && *paths) {
        size_t length = strcspn(paths, "\n");
        char *path = memory_copy_part(paths, length);
        json_text(json, NULL, path);
        free(path);
        paths += length + (paths[length] == '\n');
    }
    json_array_end(json);
}

static void write_summary(const struct reading *reading, struct json *json, const struct summary *summary)
{
    json_text(json, "program", summary->command);
    json_integer(json, "pid", summary->pid);
    json_integer(json, "start_realtime_ns", summary->start_realtime_ns);
    json_integer(json, "duration_ns", summary->duration_ns);
    json_integer(json, "peak_bytes", summary->peak_bytes);
    json_integer(json, "peak_time_ns", summary->peak_time_ns);
    json_integer(json, "peak_rss_bytes", summary->peak_rss_bytes);
    json_integer(json, "allocated_bytes", summary->allocated_bytes);
    json_integer(json, "allocations", summary->allocations);
    json_integer(json, "temporary_allocations", summary->temporary_allocations);
    json_integer(json, "live_bytes_at_end", summary->live_bytes_at_end);
    json_integer(json, "live_allocations_at_end", summary->live_allocations_at_end);
    json_integer(json, "copied_bytes", summary->copied_bytes);
    json_integer(json, "copies", summary->copies);
    json_integer(json, "events", summary->event_count);
    json_integer(json, "lost_events", summary->lost_events);
    json_integer(json, "native_checks", summary->native_checks);
    json_integer(json, "native_differences", summary->native_differences);
    json_integer(json, "unknown_frees", summary->unknown_frees);
    json_boolean(json, "complete", summary->complete != 0);
    json_boolean(json, "has_end", !summary->is_endless);
    json_boolean(json, "recording", summary_is_growing(reading, summary));
    json_text(json, "cut", summary->cut);
    json_text(json, "unrecorded", summary->unrecorded);
    json_text(json, "damage", summary->damage);
    json_integer(json, "sampling_interval_bytes", summary->sampling_interval_bytes);
    json_integer(json, "peak_bytes_error", summary->peak_bytes_error);
    json_integer(json, "allocated_bytes_error", summary->allocated_bytes_error);
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "peak_bytes", summary_peak_interval(summary));
    estimate_json(json, "allocated_bytes", summary_allocated_interval(summary));
    summary_count_json(json, summary, ALLOCATIONS, "allocations");
    summary_count_json(json, summary, PEAK_ALLOCATIONS, "peak_allocations");
    summary_count_json(json, summary, LIVE_ALLOCATIONS, "live_allocations_at_end");
    summary_count_json(json, summary, COPIES, "copies");
    json_object_end(json);
    json_boolean(json, "stream_truncated", summary->stream_end_ns >= 0);
    json_integer(json, "events_from_ns", summary->events_from_ns);
    json_integer(json, "events_until_ns", summary->stream_end_ns >= 0 ? summary->stream_end_ns : summary->duration_ns);
    process_list_write_exit(json, summary->exit_kind, summary->exit_status);
    write_spans(json, summary);
    write_sampling_changes(json, summary);
    write_changed_modules(json, summary->changed_modules);
}

static int write_report(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct process_list *processes,
                        const struct suppressions *suppressions, const struct threshold_value *thresholds)
{
    struct json json;
    struct line_rows rows;
    json_begin(&json, stdout, "report");
    write_summary(reading, &json, summary);
    process_list_write(&json, processes);
    load_section(reading, database, PEAK_BYTES, reading_limit(reading, 0), &rows);
    line_rows_json(&rows, &json, "lines");
    line_rows_free(&rows);
    tag_rows_json(database, &json);
    suppressions_json(suppressions, &json);
    int status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
    reading_json_end(&json);
    return status;
}

/* ---- the command ---- */

static int report(struct reading *reading)
{
    struct summary summary;
    struct process_list processes;
    struct threshold_value thresholds[THRESHOLD_COUNT];
    struct suppressions suppressions;
    struct leak_rows leaks = {0};
    int status;
    suppressions_load(reading->suppressions, &suppressions);
    sqlite3 *database = reading_open(reading);
    summary_load(database, &summary);
    process_list_load(reading, &processes);
    if (!reading->json || suppressions.count)
        leak_rows_load(database, &suppressions, 0, &leaks);
    fill_thresholds(&summary, thresholds);
    thresholds[THRESHOLD_LIVE].value -= suppressions.total.bytes;
    if (reading->json) {
        status = write_report(reading, database, &summary, &processes, &suppressions, thresholds);
    } else {
        print_report(reading, database, &summary, &processes, &leaks, &suppressions);
        status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
    }
    leak_rows_free(&leaks);
    suppressions_free(&suppressions);
    process_list_free(&processes);
    summary_free(&summary);
    reading_close(reading, database);
    return status;
}

int report_print(const char *trace, FILE *out)
{
    struct reading reading = READING_INIT;
    reading.command = &report_command;
    reading.trace = trace;
    terminal_init(&reading.terminal, out, COLOR_AUTO);
    return report(&reading);
}

static int run_report(int argc, char **argv)
{
    struct reading reading = READING_INIT;
    reading_parse(&report_command, &reading, argc, argv, 1);
    reading_thresholds_validate(&reading, threshold_names, THRESHOLD_COUNT);
    return report(&reading);
}

const struct command report_command = {
    .name = "report",
    .question = "how much memory, when, and which lines: one screen",
    .usage = "[OPTIONS] TRACE",
    .description = "The answer on one screen: how long the program ran, how much memory it held at most and when, which lines held it, which "
                   "lines allocate and copy most, what was still there at the end, and the processes of the run.\n"
                   "Heap bytes are what the program asked for; RSS is what the system gave it.",
    .examples = "heapline report app.heapline\n"
                "heapline report --fail-on peak=500M app.heapline      # in CI\n"
                "heapline report --json app.heapline | jq .peak_bytes\n"
                "\n"
                "--fail-on knows peak, rss, allocated, live (at the end), copied, lost (events).",
    .statuses = READING_STATUSES_FAIL,
    .options = {limit_options, suppression_options, fail_options, fold_options, reading_options},
    .run = run_report,
};
