/* The export 'openmetrics': the totals of each process and the largest lines as text that Prometheus reads (OpenMetrics 1.0). */
#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "export.h"
#include "memory.h"
#include "paths.h"
#include "text.h"

#define LINES_SHOWN 50

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER };

/* Of each process. Nanoseconds are shown as seconds. */
static const struct process_metric {
    const char *name, *unit, *help; /* the name ends with its unit, if it has one */
    enum metric_kind kind;
    size_t field; /* in struct summary */
    int is_time;
} process_metrics[] = {
    {"heapline_start_time_seconds", "seconds", "When recording began, since 1970.", METRIC_GAUGE, offsetof(struct summary, start_realtime_ns), 1},
    {"heapline_duration_seconds", "seconds", "How long was recorded.", METRIC_GAUGE, offsetof(struct summary, duration_ns), 1},
    {"heapline_complete", NULL, "1: the process ended by itself and the trace is whole.", METRIC_GAUGE, offsetof(struct summary, complete), 0},
    {"heapline_sampling_interval_bytes", "bytes", "0: exact; else figures are estimates from a sample.", METRIC_GAUGE,
     offsetof(struct summary, sampling_interval_bytes), 0},
    {"heapline_peak_bytes", "bytes", "Heap bytes at the high-water mark.", METRIC_GAUGE, offsetof(struct summary, peak_bytes), 0},
    {"heapline_peak_time_seconds", "seconds", "When the high-water mark was reached, since recording began.", METRIC_GAUGE,
     offsetof(struct summary, peak_time_ns), 1},
    {"heapline_peak_rss_bytes", "bytes", "Highest resident set.", METRIC_GAUGE, offsetof(struct summary, peak_rss_bytes), 0},
    {"heapline_live_bytes", "bytes", "Heap bytes at the end.", METRIC_GAUGE, offsetof(struct summary, live_bytes_at_end), 0},
    {"heapline_live_allocations", NULL, "Allocations live at the end.", METRIC_GAUGE, offsetof(struct summary, live_allocations_at_end), 0},
    {"heapline_allocated_bytes", "bytes", "All bytes that were allocated.", METRIC_COUNTER, offsetof(struct summary, allocated_bytes), 0},
    {"heapline_allocations", NULL, "Allocations.", METRIC_COUNTER, offsetof(struct summary, allocations), 0},
    {"heapline_temporary_allocations", NULL, "Allocations that were freed before the same thread's next one.", METRIC_COUNTER,
     offsetof(struct summary, temporary_allocations), 0},
    {"heapline_copied_bytes", "bytes", "Bytes that memcpy and its kin copied.", METRIC_COUNTER, offsetof(struct summary, copied_bytes), 0},
    {"heapline_copies", NULL, "Copies.", METRIC_COUNTER, offsetof(struct summary, copies), 0},
    {"heapline_lost_events", NULL, "Events that the trace lacks.", METRIC_COUNTER, offsetof(struct summary, lost_events), 0},
};

/* Of each source line. */
static const struct line_metric {
    const char *name, *help;
    enum metric_kind kind;
    enum measure measure;
} line_metrics[] = {
    {"heapline_line_peak_bytes", "Heap bytes at the high-water mark, by source line.", METRIC_GAUGE, PEAK_BYTES},
    {"heapline_line_live_bytes", "Heap bytes at the end, by source line.", METRIC_GAUGE, LIVE_BYTES},
    {"heapline_line_allocated_bytes", "Bytes that were allocated, by source line.", METRIC_COUNTER, ALLOCATED_BYTES},
    {"heapline_line_copied_bytes", "Bytes that were copied, by source line.", METRIC_COUNTER, COPIED_BYTES},
};

/* Of a sampled process, the totals of which the interval is known: two gauges each, _low_95 and _high_95. */
static const struct interval_metric {
    const char *name;
    enum measure measure;
} interval_metrics[] = {
    {"heapline_peak_bytes", PEAK_BYTES}, {"heapline_live_allocations", LIVE_ALLOCATIONS}, {"heapline_allocated_bytes", ALLOCATED_BYTES},
    {"heapline_allocations", ALLOCATIONS}, {"heapline_copies", COPIES},
};

enum figure { FIGURE_VALUE, FIGURE_LOW, FIGURE_HIGH };

static const char *const figure_suffixes[] = {[FIGURE_VALUE] = "", [FIGURE_LOW] = "_low_95", [FIGURE_HIGH] = "_high_95"};

/* A process, and the rows it has for the line metric at hand. */
struct process_figures {
    struct summary summary;
    sqlite3 *database;
};

static void write_value(FILE *out, const char *text)
{
    char *clean = text_clean(text ? text : "", 1);
    for (const char *at = clean; *at; at++)
        if (*at == '\\' || *at == '"')
            fprintf(out, "\\%c", *at);
        else
            putc(*at, out);
    free(clean);
}

static void write_family(FILE *out, const char *name, enum metric_kind kind, const char *unit, const char *help)
{
    fprintf(out, "# TYPE %s %s\n", name, kind == METRIC_COUNTER ? "counter" : "gauge");
    if (unit)
        fprintf(out, "# UNIT %s %s\n", name, unit);
    fprintf(out, "# HELP %s %s\n", name, help);
}

/* Name and the process's labels; the braces stay open. */
static void begin_sample(FILE *out, const char *name, const char *suffix, const struct summary *summary)
{
    fprintf(out, "%s%s{pid=\"%lld\",process=\"", name, suffix, (long long)summary->pid);
    write_value(out, paths_base(summary->executable ? summary->executable : "(unknown program)"));
    putc('"', out);
}

static const char *suffix_of(enum metric_kind kind)
{
    return kind == METRIC_COUNTER ? "_total" : "";
}

static void write_info(FILE *out, const struct process_figures *processes, uint32_t count)
{
    fputs("# TYPE heapline_process info\n# HELP heapline_process The recorded process.\n", out);
    for (uint32_t i = 0; i < count; i++) {
        begin_sample(out, "heapline_process", "_info", &processes[i].summary);
        fputs(",command=\"", out);
        write_value(out, processes[i].summary.command);
        fprintf(out, "\",parent_pid=\"%lld\"} 1\n", (long long)processes[i].summary.parent_pid);
    }
}

static void write_process_metric(FILE *out, const struct process_metric *metric, const struct process_figures *processes, uint32_t count)
{
    write_family(out, metric->name, metric->kind, metric->unit, metric->help);
    for (uint32_t i = 0; i < count; i++) {
        int64_t value;
        memcpy(&value, (const char *)&processes[i].summary + metric->field, sizeof value);
        begin_sample(out, metric->name, suffix_of(metric->kind), &processes[i].summary);
        if (metric->is_time)
            fprintf(out, "} %lld.%09lld\n", (long long)(value / 1000000000), (long long)(value % 1000000000));
        else
            fprintf(out, "} %lld\n", (long long)value);
    }
}

/* ---- intervals ---- */

static int is_any_sampled(const struct process_figures *processes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (processes[i].summary.sampling_interval_bytes)
            return 1;
    return 0;
}

static void write_interval_family(FILE *out, const char *of, enum figure figure)
{
    char name[64], help[128];
    snprintf(name, sizeof name, "%s%s", of, figure_suffixes[figure]);
    snprintf(help, sizeof help, "In 95 of 100 runs the truth of %s lies from %s_low_95 to %s_high_95.", of, of, of);
    write_family(out, name, METRIC_GAUGE, NULL, help);
}

static int find_interval(const struct summary *summary, enum measure measure, struct estimate_interval *ret_interval)
{
    if (!summary->sampling_interval_bytes)
        return 0;
    if (!measures[measure].is_bytes)
        return summary_count_interval(summary, measure, ret_interval);
    *ret_interval = measure == PEAK_BYTES ? summary_peak_interval(summary) : summary_allocated_interval(summary);
    return 1;
}

static void write_process_interval(FILE *out, const struct interval_metric *metric, enum figure figure, const struct process_figures *processes,
                                   uint32_t count)
{
    struct estimate_interval interval;
    write_interval_family(out, metric->name, figure);
    for (uint32_t i = 0; i < count; i++)
        if (find_interval(&processes[i].summary, metric->measure, &interval)) {
            begin_sample(out, metric->name, figure_suffixes[figure], &processes[i].summary);
            fprintf(out, "} %lld\n", (long long)(figure == FIGURE_LOW ? interval.low : interval.high));
        }
}

/* ---- lines ---- */

static void write_line(FILE *out, const struct line_metric *metric, enum figure figure, const struct process_figures *process,
                       const struct line_rows *rows, const struct line_row *row)
{
    struct estimate_interval interval;
    int64_t value = row->measures[metric->measure];
    if (figure != FIGURE_VALUE && !line_row_interval(rows, row, metric->measure, &interval))
        return;
    if (figure != FIGURE_VALUE)
        value = figure == FIGURE_LOW ? interval.low : interval.high;
    begin_sample(out, metric->name, figure == FIGURE_VALUE ? suffix_of(metric->kind) : figure_suffixes[figure], &process->summary);
    fputs(",file=\"", out);
    write_value(out, row->file);
    fprintf(out, "\",line=\"%lld\",function=\"", (long long)row->line);
    write_value(out, row->function);
    fprintf(out, "\",kind=\"%s\"} %lld\n", row->kind, (long long)value);
}

static void write_lines(FILE *out, const struct line_metric *metric, enum figure figure, const struct process_figures *process, int64_t limit)
{
    struct line_rows rows;
    char order[96];
    snprintf(order, sizeof order, "%s DESC, file, line, function", measures[metric->measure].name);
    struct line_query query = {.order = order, .about = metric->measure, .limit = limit};
    line_rows_load(process->database, &query, &rows);
    for (int64_t i = 0; i < rows.count; i++)
        write_line(out, metric, figure, process, &rows, &rows.rows[i]);
    line_rows_free(&rows);
}

static void write_line_metric(FILE *out, const struct line_metric *metric, const struct process_figures *processes, uint32_t count, int64_t limit)
{
    write_family(out, metric->name, metric->kind, "bytes", metric->help);
    for (uint32_t i = 0; i < count; i++)
        write_lines(out, metric, FIGURE_VALUE, &processes[i], limit);
    for (enum figure figure = FIGURE_LOW; is_any_sampled(processes, count) && figure <= FIGURE_HIGH; figure++) {
        write_interval_family(out, metric->name, figure);
        for (uint32_t i = 0; i < count; i++)
            write_lines(out, metric, figure, &processes[i], limit);
    }
}

void export_openmetrics(const struct export *export)
{
    uint32_t count = export->process_count;
    int64_t limit = export->reading->limit == LIMIT_DEFAULT ? LINES_SHOWN : export->reading->limit;
    struct process_figures *processes = memory_new(count, sizeof *processes);
    for (uint32_t i = 0; i < count; i++) {
        processes[i].database = export->processes[i].database;
        summary_load(processes[i].database, &processes[i].summary);
    }
    write_info(export->out, processes, count);
    for (size_t i = 0; i < ARRAY_LENGTH(process_metrics); i++)
        write_process_metric(export->out, &process_metrics[i], processes, count);
    for (size_t i = 0; is_any_sampled(processes, count) && i < ARRAY_LENGTH(interval_metrics); i++)
        for (enum figure figure = FIGURE_LOW; figure <= FIGURE_HIGH; figure++)
            write_process_interval(export->out, &interval_metrics[i], figure, processes, count);
    for (size_t i = 0; i < ARRAY_LENGTH(line_metrics); i++)
        write_line_metric(export->out, &line_metrics[i], processes, count, limit);
    fputs("# EOF\n", export->out);
    for (uint32_t i = 0; i < count; i++)
        summary_free(&processes[i].summary);
    free(processes);
}
