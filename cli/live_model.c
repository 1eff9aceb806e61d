/* See live_model.h. */
#include "live_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "count_interval.h"
#include "memory.h"

#define NS_PER_S 1e9

void live_model_init(struct live_model *model, int fold_imports)
{
    *model = (struct live_model){.fold_imports = fold_imports};
}

void live_model_done(struct live_model *model)
{
    for (int i = 0; i < LIVE_SAMPLES; i++)
        free(model->samples[i].lines);
    free(model->rows);
    line_report_done(&model->lines);
}

/* ---- samples ---- */

static const struct live_sample *sample_before(const struct live_model *model, uint64_t count)
{
    return model->sample_count > count ? &model->samples[(model->sample_count - 1 - count) % LIVE_SAMPLES] : NULL;
}

static const struct live_sample *oldest_sample(const struct live_model *model)
{
    return sample_before(model, model->sample_count < LIVE_SAMPLES ? model->sample_count - 1 : LIVE_SAMPLES - 1);
}

static void keep_sample(struct live_model *model)
{
    struct live_sample *sample = &model->samples[model->sample_count++ % LIVE_SAMPLES];
    const struct line_report *lines = &model->lines;
    struct line_counts *counts = memory_resize(sample->lines, lines->line_count + 1, sizeof *counts);
    for (uint32_t i = 0; i < lines->line_count; i++) {
        const uint64_t *values = lines->lines[i].self.values;
        counts[i] = (struct line_counts){values[FIGURE_LIVE_BYTES], values[FIGURE_ALLOCATED_BYTES], values[FIGURE_ALLOCATIONS]};
    }
    const struct replay_totals *totals = &model->replay->totals;
    *sample = (struct live_sample){model->time_ns, totals->allocated_bytes, totals->allocations, totals->live_bytes, lines->line_count, counts};
    model->levels[(model->sample_count - 1) % LIVE_LEVELS] = (struct live_level){model->time_ns, totals->live_bytes, model->rss_bytes};
}

static struct line_counts counts_then(const struct live_sample *sample, uint32_t line_id)
{
    return sample && line_id < sample->line_count ? sample->lines[line_id] : (struct line_counts){0, 0, 0};
}

/* ---- rows ---- */

static double rate(uint64_t now, uint64_t then, uint64_t elapsed_ns)
{
    return elapsed_ns ? (double)(now - then) * NS_PER_S / (double)elapsed_ns : 0;
}

static struct count_error error_of(const struct live_model *model, uint32_t line_id)
{
    return model->lines.errors ? model->lines.errors[line_id].self : (struct count_error){0};
}

static struct live_row make_row(const struct live_model *model, uint32_t line_id)
{
    const struct line_entry *line = &model->lines.lines[line_id];
    const uint64_t *values = line->self.values;
    const struct live_sample *last = sample_before(model, 1), *oldest = oldest_sample(model);
    struct line_counts before = counts_then(last, line_id), then = counts_then(oldest, line_id);
    uint64_t elapsed_ns = last ? model->time_ns - last->time_ns : 0;
    return (struct live_row){
        .line_id = line_id,
        .file = line->file,
        .function = line->function,
        .line = line->line,
        .kind = line->kind,
        .origin = line->origin,
        .live_bytes = values[FIGURE_LIVE_BYTES],
        .live_allocations = values[FIGURE_LIVE_ALLOCATIONS],
        .allocated_bytes = values[FIGURE_ALLOCATED_BYTES],
        .allocations = values[FIGURE_ALLOCATIONS],
        .error = error_of(model, line_id),
        .bytes_per_s = rate(values[FIGURE_ALLOCATED_BYTES], before.allocated_bytes, elapsed_ns),
        .allocations_per_s = rate(values[FIGURE_ALLOCATIONS], before.allocations, elapsed_ns),
        .growth_bytes = (int64_t)(values[FIGURE_LIVE_BYTES] - then.live_bytes),
    };
}

static void add_to_imports(struct live_row *imports, const struct live_row *row)
{
    imports->live_bytes += row->live_bytes;
    imports->live_allocations += row->live_allocations;
    imports->allocated_bytes += row->allocated_bytes;
    imports->allocations += row->allocations;
    count_error_add(&imports->error, &row->error);
    imports->bytes_per_s += row->bytes_per_s;
    imports->allocations_per_s += row->allocations_per_s;
    imports->growth_bytes += row->growth_bytes;
}

static void make_rows(struct live_model *model)
{
    struct live_row imports = {.line_id = LIVE_IMPORTS, .function = "(imports)", .kind = TRACE_FRAME_PYTHON, .origin = FRAME_IMPORT};
    struct live_row *rows = memory_resize(model->rows, model->lines.line_count + 1, sizeof *rows);
    model->rows = rows;
    model->row_count = 0;
    model->error = (struct count_error){0};
    for (uint32_t i = 0; i < model->lines.line_count; i++) {
        struct live_row row = make_row(model, i);
        count_error_add(&model->error, &row.error);
        if (!row.allocations && !row.live_bytes && !row.live_allocations && !row.growth_bytes)
            continue;
        if (model->fold_imports && row.origin == FRAME_IMPORT)
            add_to_imports(&imports, &row);
        else
            rows[model->row_count++] = row;
    }
    if (imports.allocations || imports.live_allocations)
        rows[model->row_count++] = imports;
}

static void sum_up(struct live_model *model)
{
    const struct replay_totals *totals = &model->replay->totals;
    const struct live_sample *last = sample_before(model, 1), *oldest = oldest_sample(model);
    uint64_t elapsed_ns = last ? model->time_ns - last->time_ns : 0;
    model->bytes_per_s = last ? rate(totals->allocated_bytes, last->allocated_bytes, elapsed_ns) : 0;
    model->allocations_per_s = last ? rate(totals->allocations, last->allocations, elapsed_ns) : 0;
    model->growth_bytes = (int64_t)(totals->live_bytes - oldest->heap_bytes);
    model->growth_ns = model->time_ns - oldest->time_ns;
}

int live_model_knows_errors(const struct live_model *model)
{
    return model->lines.errors != NULL;
}

struct live_interval_text live_model_interval(const struct live_model *model, uint64_t live_allocations, const struct count_error *error)
{
    struct estimate_interval interval = count_interval_of(error, LIVE_ALLOCATIONS, (int64_t)live_allocations);
    struct live_interval_text result = {""};
    if (live_model_knows_errors(model) && interval.low != interval.high)
        snprintf(result.text, sizeof result.text, " (%.56s)", estimate_count_text(interval).text);
    return result;
}

void live_model_update(struct live_model *model, struct live_replay *replay)
{
    line_report_done(&model->lines);
    model->replay = live_replay_sum(replay);
    model->time_ns = live_replay_time_ns(replay);
    model->rss_bytes = live_replay_rss_bytes(replay);
    if (live_replay_lines(replay, &model->lines))
        memory_exhausted();
    keep_sample(model);
    sum_up(model);
    make_rows(model);
}

/* ---- order ---- */

static const char *const sort_names[LIVE_SORT_COUNT] = {"live", "rate", "growth", "blocks"};

const char *live_sort_name(enum live_sort sort)
{
    return sort_names[sort];
}

int live_sort_parse(const char *name)
{
    for (int i = 0; i < LIVE_SORT_COUNT; i++)
        if (!strcmp(name, sort_names[i]))
            return i;
    return -1;
}

static double sort_value(const struct live_row *row, enum live_sort sort)
{
    switch (sort) {
    case LIVE_BY_RATE:
        return row->bytes_per_s;
    case LIVE_BY_GROWTH:
        return (double)row->growth_bytes;
    case LIVE_BY_BLOCKS:
        return (double)row->live_allocations;
    default:
        return (double)row->live_bytes;
    }
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct live_row *left = a, *right = b;
    enum live_sort sort = *(const enum live_sort *)context;
    double l = sort_value(left, sort), r = sort_value(right, sort);
    if (l != r)
        return l > r ? -1 : 1;
    if (left->live_bytes != right->live_bytes)
        return left->live_bytes > right->live_bytes ? -1 : 1;
    return left->line_id < right->line_id ? -1 : left->line_id > right->line_id;
}

void live_model_sort(struct live_model *model, enum live_sort sort)
{
    qsort_r(model->rows, model->row_count, sizeof *model->rows, compare_rows, &sort);
}

/* ---- look-ups ---- */

int live_row_matches(const struct live_row *row, const char *filter)
{
    return !*filter || (row->file && strcasestr(row->file, filter)) || strcasestr(row->function, filter);
}

int live_row_has_stack(const struct live_model *model, const struct live_row *row, uint32_t stack_id)
{
    uint32_t line_id = model->lines.frame_lines[model->lines.line_frames[stack_id]];
    return row->line_id == LIVE_IMPORTS ? model->lines.lines[line_id].origin == FRAME_IMPORT : line_id == row->line_id;
}

const char *live_model_property(const struct live_model *model, const char *key)
{
    return definition_table_property(&model->replay->definitions, key);
}
