/* See metrics_text.h. A line keeps its series as long as it is among the first: which ones are, is decided by live bytes, so a label's number of
 * values is bounded by the limit at any scrape. All series carry the process's id: a restarted service begins new ones. */
#include "metrics_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "count_interval.h"
#include "line_rows.h"
#include "text.h"

struct metric {
    const char *name, *type, *help;
};

static void put_head(FILE *out, const struct metric *metric)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, metric->type);
}

static void put_one(FILE *out, const struct metrics_source *source, const struct metric *metric, uint64_t value)
{
    put_head(out, metric);
    fprintf(out, "%s{pid=\"%d\"} %" PRIu64 "\n", metric->name, (int)source->pid, value);
}

/* A label's value: UTF-8, with backslash, quote and line break escaped. */
static void put_label(FILE *out, const char *name, const char *value)
{
    char *clean = text_clean(value, 1);
    fprintf(out, ",%s=\"", name);
    for (const char *at = clean; *at; at++) {
        if (*at == '\\' || *at == '"')
            fputc('\\', out);
        fputc(*at, out);
    }
    fputc('"', out);
    free(clean);
}

/* Of the live blocks of a sample. */
static void put_interval(const struct metrics_source *source, uint64_t live_blocks, FILE *out)
{
    static const struct metric ends[] = {
        {"heapline_live_blocks_low_95", "gauge", "Live blocks: the truth lies from here …"},
        {"heapline_live_blocks_high_95", "gauge", "… to here in 95 of 100 runs."},
    };
    struct estimate_interval interval = count_interval_of(&source->model->error, LIVE_ALLOCATIONS, (int64_t)live_blocks);
    put_one(out, source, &ends[0], (uint64_t)interval.low);
    put_one(out, source, &ends[1], (uint64_t)interval.high);
}

static void put_totals(const struct metrics_source *source, FILE *out)
{
    const struct replay_totals *totals = &source->model->replay->totals;
    const struct {
        struct metric metric;
        uint64_t value;
    } figures[] = {
        {{"heapline_up", "gauge", "1 while the process is being recorded."}, source->state == FOLLOW_RUNNING},
        {{"heapline_live_bytes", "gauge", "Heap bytes that are allocated and not freed."}, totals->live_bytes},
        {{"heapline_live_blocks", "gauge", "Blocks that are allocated and not freed."}, totals->live_allocations},
        {{"heapline_peak_bytes", "gauge", "The most heap bytes that were live since recording began."}, totals->peak_bytes},
        {{"heapline_resident_bytes", "gauge", "Resident set of the process."}, source->model->rss_bytes},
        {{"heapline_allocated_bytes_total", "counter", "Bytes allocated since recording began."}, totals->allocated_bytes},
        {{"heapline_allocations_total", "counter", "Allocations since recording began."}, totals->allocations},
        {{"heapline_copied_bytes_total", "counter", "Bytes copied since recording began."}, totals->copied_bytes},
        {{"heapline_lost_events_total", "counter", "Events that could not be recorded: other figures lack them."}, totals->lost_events},
        {{"heapline_sampling_interval_bytes", "gauge", "Mean bytes between samples, the most there were; 0: figures are exact."},
         totals->sampling_interval_bytes},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        put_one(out, source, &figures[i].metric, figures[i].value);
    if (live_model_knows_errors(source->model))
        put_interval(source, totals->live_allocations, out);
}

/* ---- by line ---- */

enum line_figure { LINE_LIVE_BYTES, LINE_LIVE_BLOCKS, LINE_ALLOCATED_BYTES, LINE_ALLOCATIONS, LINE_FIGURES };

static uint64_t figure_of(const struct live_row *row, enum line_figure figure)
{
    const uint64_t values[LINE_FIGURES] = {row->live_bytes, row->live_allocations, row->allocated_bytes, row->allocations};
    return values[figure];
}

/* Where two lines are written alike (the same file name in two folders), their series would be one twice: the whole path tells them apart. */
static void put_line_labels(const struct metrics_source *source, const struct live_row *row, FILE *out)
{
    char place[4096];
    if (row->file && row->line)
        snprintf(place, sizeof place, "%s:%d", row->file, row->line);
    else
        snprintf(place, sizeof place, "%s", row->file ? row->file : row->function);
    fprintf(out, "{pid=\"%d\"", (int)source->pid);
    put_label(out, "line", place);
    put_label(out, "function", row->function);
    fputc('}', out);
}

/* The others are no counter: which they are changes. */
static void put_lines(const struct metrics_source *source, FILE *out, const struct metric *metric, enum line_figure figure, int with_others)
{
    const struct live_model *model = source->model;
    uint64_t others = 0;
    put_head(out, metric);
    for (uint32_t i = 0; i < model->row_count; i++) {
        uint64_t value = figure_of(&model->rows[i], figure);
        if (i >= source->line_limit) {
            others += value;
            continue;
        }
        fputs(metric->name, out);
        put_line_labels(source, &model->rows[i], out);
        fprintf(out, " %" PRIu64 "\n", value);
    }
    if (with_others)
        fprintf(out, "%s{pid=\"%d\",line=\"others\",function=\"\"} %" PRIu64 "\n", metric->name, (int)source->pid, others);
}

void metrics_text_write(const struct metrics_source *source, FILE *out)
{
    static const struct metric lines[LINE_FIGURES] = {
        {"heapline_line_live_bytes", "gauge", "Live bytes by the line that allocated them: the lines that hold the most, and all others."},
        {"heapline_line_live_blocks", "gauge", "Live blocks of the same lines."},
        {"heapline_line_allocated_bytes_total", "counter", "Bytes that the same lines have allocated."},
        {"heapline_line_allocations_total", "counter", "Allocations of the same lines."},
    };
    put_totals(source, out);
    for (int figure = 0; figure < LINE_FIGURES; figure++)
        put_lines(source, out, &lines[figure], (enum line_figure)figure, figure == LINE_LIVE_BYTES || figure == LINE_LIVE_BLOCKS);
}
