/* See live_view.h: the overview. live_view_stacks.c paints the rest. */
#include "live_view.h"

#include <stdlib.h>
#include <string.h>

#include "line_rows.h"
#include "live_view_parts.h"
#include "memory.h"
#include "screen.h"
#include "text.h"
#include "units.h"

#define WIDEST_FUNCTION 24
#define NARROW 60
#define GRAPH_LABEL 5     /* "heap " */
#define GRAPH_MAXIMUM 11  /* " 1023.9 MiB" */
#define MAX_GRAPH_COLUMNS 400

/* ---- the head ---- */

/* The command line with its program's base name only. */
static const char *short_command(const struct live_model *model)
{
    const char *command = live_model_property(model, "command");
    if (!command)
        return "(unknown program)";
    const char *base = command;
    for (const char *at = command; *at && *at != ' '; at++)
        if (*at == '/' && at[1] && at[1] != ' ')
            base = at + 1;
    return base;
}

static void put_title(struct live_view *view, struct live_line *line)
{
    const struct live_model *model = view->model;
    char tail[160];
    snprintf(tail, sizeof tail, "  pid %d %s %s%s", (int)view->pid, terminal_dot(&view->reading->terminal), units_time((int64_t)model->time_ns).text,
             view->is_paused ? "  PAUSED" : "");
    int room = line->columns - text_width(tail);
    live_line_style(line, STYLE_BOLD);
    live_line_text(line, short_command(model), room > 8 ? room : 8, TEXT_CLIP_END, 0);
    live_line_style(line, STYLE_PLAIN);
    live_line_text(line, tail, 0, TEXT_CLIP_END, 0);
}

static void put_levels(struct live_view *view, struct live_line *line)
{
    const struct live_model *model = view->model;
    const struct replay_totals *totals = &model->replay->totals;
    live_line_style(line, STYLE_BOLD);
    live_line_format(line, "heap %s", units_bytes((int64_t)totals->live_bytes).text);
    live_line_style(line, STYLE_PLAIN);
    live_line_format(line, " in %s%s, peak %s", units_noun((int64_t)totals->live_allocations, "block").text,
                     live_model_interval(model, totals->live_allocations, &model->error).text, units_bytes((int64_t)totals->peak_bytes).text);
    if (model->rss_bytes)
        live_line_format(line, "   RSS %s", units_bytes((int64_t)model->rss_bytes).text);
}

static void put_rates(struct live_view *view, struct live_line *line)
{
    const struct live_model *model = view->model;
    live_line_format(line, "allocates %s/s, %s/s", units_bytes((int64_t)model->bytes_per_s).text,
                     units_count((int64_t)model->allocations_per_s).text);
    if (model->growth_ns)
        live_line_format(line, "   %s %s in %s", model->growth_bytes < 0 ? "shrank" : "grew",
                         units_bytes(model->growth_bytes < 0 ? -model->growth_bytes : model->growth_bytes).text,
                         units_time((int64_t)model->growth_ns).text);
    if (model->replay->totals.lost_events) {
        live_line_style(line, STYLE_WARNING);
        live_line_format(line, "   %s lost", units_noun((int64_t)model->replay->totals.lost_events, "event").text);
        live_line_style(line, STYLE_PLAIN);
    }
    if (model->replay->totals.sampling_interval_bytes)
        live_line_format(line, "   sampled: estimates");
    else if (model->replay->overview.has_tally)
        live_line_format(line, "   trace at its bound: seldom new");
}

/* ---- the graph ---- */

struct graph {
    uint64_t heap[MAX_GRAPH_COLUMNS], rss[MAX_GRAPH_COLUMNS];
    int columns;
    uint64_t start_ns, end_ns;
};

static void note_level(struct graph *graph, uint64_t time_ns, uint64_t heap_bytes, uint64_t rss_bytes)
{
    uint64_t span_ns = graph->end_ns > graph->start_ns ? graph->end_ns - graph->start_ns : 1;
    if (time_ns < graph->start_ns)
        return;
    int column = (int)((double)(time_ns - graph->start_ns) / (double)span_ns * graph->columns);
    column = column >= graph->columns ? graph->columns - 1 : column;
    if (heap_bytes > graph->heap[column])
        graph->heap[column] = heap_bytes;
    if (rss_bytes > graph->rss[column])
        graph->rss[column] = rss_bytes;
}

/* Columns without a reading are as the one before. */
static void fill_gaps(uint64_t *levels, int columns)
{
    for (int i = 1; i < columns; i++)
        if (!levels[i])
            levels[i] = levels[i - 1];
}

static void gather_graph(const struct live_view *view, struct graph *graph, int columns)
{
    const struct live_model *model = view->model;
    uint64_t count = model->sample_count < LIVE_LEVELS ? model->sample_count : LIVE_LEVELS;
    *graph = (struct graph){.columns = columns > MAX_GRAPH_COLUMNS ? MAX_GRAPH_COLUMNS : columns, .end_ns = model->time_ns};
    /* A view that has just begun has no past of its own. */
    if (view->whole_run || count < 3) {
        for (uint32_t i = 0; i < model->replay->timeline_count; i++) {
            const struct timeline_row *row = &model->replay->timeline[i];
            note_level(graph, row->time_ns, row->heap_peak_bytes > row->heap_bytes ? row->heap_peak_bytes : row->heap_bytes, row->rss_bytes);
        }
    } else {
        uint64_t shown = count < (uint64_t)graph->columns ? count : (uint64_t)graph->columns;
        graph->start_ns = model->levels[(model->sample_count - shown) % LIVE_LEVELS].time_ns;
        for (uint64_t i = model->sample_count - shown; i < model->sample_count; i++)
            note_level(graph, model->levels[i % LIVE_LEVELS].time_ns, model->levels[i % LIVE_LEVELS].heap_bytes, model->levels[i % LIVE_LEVELS].rss_bytes);
    }
    fill_gaps(graph->heap, graph->columns);
    fill_gaps(graph->rss, graph->columns);
}

/* `height` lines from `row` on; from 0 to the highest level. */
static void put_curve(const struct live_view *view, const char *label, const uint64_t *levels, int columns, int row, int height, int width)
{
    uint64_t highest = 1;
    for (int i = 0; i < columns; i++)
        highest = levels[i] > highest ? levels[i] : highest;
    for (int line_number = 0; line_number < height; line_number++) {
        struct live_line line;
        int below = height - 1 - line_number;
        live_line_begin(&line, &view->reading->terminal, width);
        live_line_text(&line, line_number == height - 1 ? label : "", GRAPH_LABEL, TEXT_CLIP_END, GRAPH_LABEL);
        live_line_style(&line, STYLE_BAR);
        for (int i = 0; i < columns; i++) {
            double share = (double)levels[i] / (double)highest * height - below;
            live_line_glyph(&line, terminal_spark(&view->reading->terminal, levels[i] && share > 0 ? share : 0));
        }
        live_line_style(&line, STYLE_PLAIN);
        if (line_number == 0 && highest > 1)
            live_line_format(&line, " %s", units_bytes((int64_t)highest).text);
        screen_put(row + line_number, line.text);
    }
}

static int put_graph(const struct live_view *view, int row, int rows, int width)
{
    struct graph graph;
    struct live_line line;
    int height = rows >= 40 ? 4 : rows >= 24 ? 2 : 1;
    int columns = width - GRAPH_LABEL - GRAPH_MAXIMUM;
    if (rows < 14 || columns < 10)
        return row;
    gather_graph(view, &graph, columns);
    put_curve(view, "heap", graph.heap, graph.columns, row, height, width);
    put_curve(view, "RSS", graph.rss, graph.columns, row + height, rows >= 24 ? height : 1, width);
    row += height + (rows >= 24 ? height : 1);
    live_line_begin(&line, &view->reading->terminal, width);
    live_line_style(&line, STYLE_DIM);
    live_line_format(&line, "%*s%s ago", GRAPH_LABEL, "", units_time((int64_t)(graph.end_ns - graph.start_ns)).text);
    live_line_pad(&line, GRAPH_LABEL + graph.columns - 3);
    live_line_format(&line, "now");
    live_line_style(&line, STYLE_PLAIN);
    screen_put(row, line.text);
    return row + 1;
}

/* ---- rows ---- */

static const char *const titles[] = {"live", "growth", "alloc/s", "allocs/s", "blocks"};
#define COLUMN_WIDTH 10
#define COLUMNS 5

/* How many of the columns there is room for, beside the place. */
static int columns_shown(int width)
{
    return width >= 76 ? 5 : width >= NARROW ? 3 : 2;
}

static int function_width(int width)
{
    int room = width - columns_shown(width) * COLUMN_WIDTH - 26;
    return width < 100 ? 0 : room > WIDEST_FUNCTION ? WIDEST_FUNCTION : room;
}

static void put_header(const struct live_view *view, struct live_line *line, int width)
{
    static const enum live_sort sorts[COLUMNS] = {LIVE_BY_BYTES, LIVE_BY_GROWTH, LIVE_BY_RATE, LIVE_SORT_COUNT, LIVE_BY_BLOCKS};
    int shown = columns_shown(width), function = function_width(width), place = width - shown * COLUMN_WIDTH - function - (function > 0);
    live_line_style(line, STYLE_DIM);
    live_line_text(line, "line", place, TEXT_CLIP_END, place);
    if (function)
        live_line_text(line, " function", function + 1, TEXT_CLIP_END, function + 1);
    for (int i = 0; i < shown; i++) {
        char title[32];
        snprintf(title, sizeof title, "%s%s", sorts[i] == view->sort ? ">" : "", titles[i]);
        live_line_format(line, "%*s", COLUMN_WIDTH, title);
    }
    live_line_style(line, STYLE_PLAIN);
}

static const struct unit_text nothing;

static struct unit_text growth_text(int64_t bytes)
{
    struct unit_text text = {""};
    if (bytes != 0)
        snprintf(text.text, sizeof text.text, "%s%.40s", bytes > 0 ? "+" : "", units_bytes(bytes).text);
    return text;
}

static void put_row(const struct live_view *view, struct live_line *line, const struct live_row *row, int width)
{
    int shown = columns_shown(width), function = function_width(width), place = width - shown * COLUMN_WIDTH - function - (function > 0);
    char *text = line_place(view->reading, row->file, row->line, row->function);
    /* Where there is no room for functions, a library without lines needs its function's name all the same. */
    char *both = !function && row->file && !row->line ? memory_format("%s %s", text, row->function) : NULL;
    live_line_text(line, both ? both : text, place - 1, TEXT_CLIP_START, place);
    free(both);
    free(text);
    if (function) {
        live_line_glyph(line, " ");
        live_line_text(line, row->file ? row->function : "", function, TEXT_CLIP_END, function);
    }
    const struct unit_text cells[COLUMNS] = {
        units_bytes((int64_t)row->live_bytes),
        growth_text(row->growth_bytes),
        row->bytes_per_s >= 1 ? units_bytes((int64_t)row->bytes_per_s) : nothing,
        row->allocations_per_s >= 1 ? units_count((int64_t)row->allocations_per_s) : nothing,
        row->live_allocations ? units_count((int64_t)row->live_allocations) : nothing,
    };
    for (int i = 0; i < shown; i++)
        live_line_format(line, "%*s", COLUMN_WIDTH, cells[i].text);
}

/* Those that the filter lets pass, in the model's order; to be freed. */
static const struct live_row **list_rows(const struct live_view *view, int *ret_count)
{
    const struct live_model *model = view->model;
    const struct live_row **rows = memory_new(model->row_count, sizeof *rows);
    int count = 0;
    for (uint32_t i = 0; i < model->row_count; i++)
        if (live_row_matches(&model->rows[i], view->filter))
            rows[count++] = &model->rows[i];
    *ret_count = count;
    return rows;
}

static int place_of_selected(const struct live_view *view, const struct live_row **rows, int count)
{
    for (int i = 0; i < count && view->is_selected; i++)
        if (rows[i]->line_id == view->selected)
            return i;
    return -1;
}

void live_view_move(struct live_view *view, int by)
{
    int count, at;
    const struct live_row **rows = list_rows(view, &count);
    live_model_sort(view->model, view->sort);
    free(rows);
    rows = list_rows(view, &count);
    at = place_of_selected(view, rows, count);
    at = at < 0 ? (by > 0 ? by - 1 : 0) : at + by;
    at = at >= count ? count - 1 : at;
    at = at < 0 ? 0 : at;
    if (count) {
        view->is_selected = 1;
        view->selected = rows[at]->line_id;
    }
    free(rows);
}

const struct live_row *live_view_selected(const struct live_view *view)
{
    for (uint32_t i = 0; i < view->model->row_count && view->is_selected; i++)
        if (view->model->rows[i].line_id == view->selected)
            return &view->model->rows[i];
    return NULL;
}

static void keep_in_sight(struct live_view *view, int at)
{
    int last = view->row_count - view->page_rows;
    if (at >= 0 && at < view->scroll)
        view->scroll = at;
    if (at >= 0 && at >= view->scroll + view->page_rows)
        view->scroll = at - view->page_rows + 1;
    if (view->scroll > last)
        view->scroll = last;
    if (view->scroll < 0 || at < 0)
        view->scroll = 0;
}

static void put_rows(struct live_view *view, int row, int end, int width)
{
    struct live_line line;
    live_model_sort(view->model, view->sort);
    const struct live_row **rows = list_rows(view, &view->row_count);
    int selected = place_of_selected(view, rows, view->row_count);
    view->page_rows = end - row - 1;
    keep_in_sight(view, selected);
    live_line_begin(&line, &view->reading->terminal, width);
    put_header(view, &line, width);
    screen_put(row++, line.text);
    for (int i = view->scroll; i < view->row_count && row < end; i++) {
        live_line_begin(&line, &view->reading->terminal, width);
        if (i == selected)
            live_line_reverse(&line);
        put_row(view, &line, rows[i], width);
        screen_put(row++, line.text);
    }
    if (!view->row_count) {
        live_line_begin(&line, &view->reading->terminal, width);
        live_line_text(&line, *view->filter ? "no line is named like the filter" : "nothing was allocated yet", width, TEXT_CLIP_END, 0);
        screen_put(row, line.text);
    }
    free(rows);
}

/* ---- the foot ---- */

static void put_foot(const struct live_view *view, int row, int width)
{
    struct live_line line;
    char text[256];
    if (view->is_typing || *view->filter)
        snprintf(text, sizeof text, "filter: %s%s", view->filter, view->is_typing ? "_   Enter keeps it, Esc clears it" : "   / changes it, Esc clears it");
    else
        snprintf(text, sizeof text, "%s", view->status ? view->status
                 : "q quit  s sort  / filter  p pause  arrows, Enter stacks  t time  ? help");
    live_line_begin(&line, &view->reading->terminal, width);
    live_line_style(&line, view->status ? STYLE_WARNING : STYLE_DIM);
    live_line_text(&line, text, width, TEXT_CLIP_END, 0);
    screen_put(row, line.text);
}

static void paint_lines(struct live_view *view, int rows, int width)
{
    struct live_line line;
    int row = 0;
    live_line_begin(&line, &view->reading->terminal, width);
    put_title(view, &line);
    screen_put(row++, line.text);
    live_line_begin(&line, &view->reading->terminal, width);
    put_levels(view, &line);
    screen_put(row++, line.text);
    live_line_begin(&line, &view->reading->terminal, width);
    put_rates(view, &line);
    screen_put(row++, line.text);
    row = put_graph(view, row, rows, width);
    put_rows(view, row, rows - 1, width);
}

void live_view_paint(struct live_view *view)
{
    int rows, width;
    screen_size(&rows, &width);
    if (view->page == LIVE_HELP)
        live_view_paint_help(view, rows, width);
    else if (view->page == LIVE_STACKS)
        live_view_paint_stacks(view, rows, width);
    else
        paint_lines(view, rows, width);
    put_foot(view, rows - 1, width);
    screen_show();
}

void live_view_print(struct live_view *view, int row_limit)
{
    const struct terminal *terminal = &view->reading->terminal;
    void (*const head[])(struct live_view *, struct live_line *) = {put_title, put_levels, put_rates};
    struct live_line line;
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        live_line_begin(&line, terminal, terminal->width);
        head[i](view, &line);
        fprintf(terminal->out, "%s\n", line.text);
    }
    live_line_begin(&line, terminal, terminal->width);
    put_header(view, &line, terminal->width);
    fprintf(terminal->out, "\n%s\n", line.text);
    live_model_sort(view->model, view->sort);
    const struct live_row **rows = list_rows(view, &view->row_count);
    for (int i = 0; i < view->row_count && (row_limit == 0 || i < row_limit); i++) {
        live_line_begin(&line, terminal, terminal->width);
        put_row(view, &line, rows[i], terminal->width);
        fprintf(terminal->out, "%s\n", line.text);
    }
    free(rows);
}
