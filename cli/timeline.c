/* heapline timeline: live heap bytes and resident set over time, as a graph and a table. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "summary.h"
#include "table.h"
#include "units.h"

#define ROWS_SHOWN 15
#define GRAPH_ROWS 10
#define AXIS_WIDTH 10
#define MAX_GRAPH_COLUMNS 160

static struct threshold_value thresholds[] = {{"peak", 1, 0}, {"rss", 1, 0}};

struct moment {
    int64_t time_ns, heap_bytes, heap_peak_bytes, rss_bytes;
};

struct moments {
    struct moment *list;
    int64_t count;
};

static void load_moments(sqlite3 *database, struct moments *moments)
{
    int64_t count = query_integer(database, "SELECT count(*) FROM timeline"), i = 0;
    moments->list = memory_new((size_t)count + 1, sizeof *moments->list);
    sqlite3_stmt *row = query_prepare(database, "SELECT time_ns, heap_bytes, heap_peak_bytes, rss_bytes FROM timeline ORDER BY time_ns");
    while (query_step(row)) {
        moments->list[i++] = (struct moment){
            .time_ns = sqlite3_column_int64(row, 0),
            .heap_bytes = sqlite3_column_int64(row, 1),
            .heap_peak_bytes = sqlite3_column_int64(row, 2),
            .rss_bytes = sqlite3_column_int64(row, 3),
        };
    }
    moments->count = i;
}

/* Equal spans of the run, each with its highest level. At most `limit` (0: as they are). Returns how many are left, in place. */
static int64_t thin_out(struct moment *list, int64_t count, int64_t limit, int64_t duration_ns)
{
    int64_t kept = 0, span = -1;
    if (!limit || count <= limit || duration_ns <= 0)
        return count;
    for (int64_t i = 0; i < count; i++) {
        int64_t of = (int64_t)((double)list[i].time_ns / (double)duration_ns * (double)limit);
        of = of >= limit ? limit - 1 : of;
        if (of != span) {
            list[kept++] = list[i];
            span = of;
            continue;
        }
        struct moment *into = &list[kept - 1];
        int64_t peak = into->heap_peak_bytes > list[i].heap_peak_bytes ? into->heap_peak_bytes : list[i].heap_peak_bytes;
        int64_t rss = into->rss_bytes > list[i].rss_bytes ? into->rss_bytes : list[i].rss_bytes;
        *into = list[i];
        into->heap_peak_bytes = peak;
        into->rss_bytes = rss;
    }
    return kept;
}

static int write_timeline(const struct reading *reading, const struct summary *summary, const struct moments *moments)
{
    struct json json;
    json_begin(&json, stdout, "timeline");
    json_boolean(&json, "stream_truncated", summary->stream_end_ns >= 0);
    json_integer(&json, "events_from_ns", summary->events_from_ns);
    json_integer(&json, "events_until_ns", summary->stream_end_ns >= 0 ? summary->stream_end_ns : summary->duration_ns);
    json_array(&json, "timeline");
    for (int64_t i = 0; i < moments->count; i++) {
        json_object(&json, NULL);
        json_integer(&json, "time_ns", moments->list[i].time_ns);
        json_integer(&json, "heap_bytes", moments->list[i].heap_bytes);
        json_integer(&json, "heap_peak_bytes", moments->list[i].heap_peak_bytes);
        json_integer(&json, "rss_bytes", moments->list[i].rss_bytes);
        json_object_end(&json);
    }
    json_array_end(&json);
    int status = reading_thresholds(reading, thresholds, 2, &json);
    reading_json_end(&json);
    return status;
}

/* ---- the graph: heap as columns, the resident set as a line over them ---- */

struct graph {
    int columns;
    int64_t top;
    int64_t heap[MAX_GRAPH_COLUMNS], rss[MAX_GRAPH_COLUMNS];
};

static void fill_graph(struct graph *graph, const struct moments *moments, int64_t duration_ns)
{
    int column = 0, seen = -1;
    int64_t heap_level = 0, rss_level = 0;
    for (int64_t i = 0; i <= moments->count; i++) {
        int next = graph->columns;
        if (i < moments->count && duration_ns > 0)
            next = (int)((double)moments->list[i].time_ns / (double)duration_ns * graph->columns);
        next = next > graph->columns ? graph->columns : next;
        for (; column < next; column++)
            if (column > seen) {
                graph->heap[column] = heap_level;
                graph->rss[column] = rss_level;
            }
        if (i == moments->count)
            break;
        int at = next < graph->columns ? next : graph->columns - 1;
        const struct moment *moment = &moments->list[i];
        int64_t peak = moment->heap_peak_bytes > moment->heap_bytes ? moment->heap_peak_bytes : moment->heap_bytes;
        if (peak > graph->heap[at] || at > seen)
            graph->heap[at] = peak;
        if (moment->rss_bytes > graph->rss[at])
            graph->rss[at] = moment->rss_bytes;
        if (graph->rss[at] == 0)
            graph->rss[at] = rss_level;
        seen = at;
        heap_level = moment->heap_bytes;
        rss_level = moment->rss_bytes ? moment->rss_bytes : rss_level;
    }
    for (int i = 0; i < graph->columns; i++) {
        graph->top = graph->heap[i] > graph->top ? graph->heap[i] : graph->top;
        graph->top = graph->rss[i] > graph->top ? graph->rss[i] : graph->top;
    }
}

static void print_graph_row(const struct terminal *terminal, const struct graph *graph, int row)
{
    double height = (double)graph->top / GRAPH_ROWS, bottom = height * row;
    const char *before = NULL;
    if (row % 3 == 0 || row == GRAPH_ROWS - 1)
        fprintf(terminal->out, "%*s ", AXIS_WIDTH, units_bytes((int64_t)(bottom + (row ? height : 0))).text);
    else
        fprintf(terminal->out, "%*s ", AXIS_WIDTH, "");
    int last = graph->columns;
    while (last > 0 && graph->heap[last - 1] <= bottom && (graph->rss[last - 1] <= bottom || graph->rss[last - 1] > bottom + height))
        last--;
    for (int column = 0; column < last; column++) {
        double heap = ((double)graph->heap[column] - bottom) / height, rss = ((double)graph->rss[column] - bottom) / height;
        int is_rss = heap <= 0 && rss > 0 && rss <= 1;
        const char *style = terminal_style(terminal, is_rss ? STYLE_WARNING : STYLE_BAR);
        if (style != before)
            fprintf(terminal->out, "%s%s", terminal_style(terminal, STYLE_PLAIN), style);
        before = style;
        fputs(is_rss ? (terminal->unicode ? "─" : "~") : terminal_spark(terminal, heap), terminal->out);
    }
    fprintf(terminal->out, "%s\n", terminal_style(terminal, STYLE_PLAIN));
}

static void print_graph(const struct reading *reading, const struct moments *moments, int64_t duration_ns)
{
    const struct terminal *terminal = &reading->terminal;
    struct graph graph = {.columns = terminal->width - AXIS_WIDTH - 2};
    graph.columns = graph.columns > MAX_GRAPH_COLUMNS ? MAX_GRAPH_COLUMNS : graph.columns;
    fill_graph(&graph, moments, duration_ns);
    if (graph.top == 0)
        return;
    fputc('\n', terminal->out);
    for (int row = GRAPH_ROWS - 1; row >= 0; row--)
        print_graph_row(terminal, &graph, row);
    struct unit_text end = units_time(duration_ns);
    fprintf(terminal->out, "%*s 0%*s\n", AXIS_WIDTH, "", graph.columns - 1, end.text);
    fprintf(terminal->out, "%*s %s%s%s heap  %s%s%s RSS\n", AXIS_WIDTH, "", terminal_style(terminal, STYLE_BAR), terminal_spark(terminal, 1),
            terminal_style(terminal, STYLE_PLAIN), terminal_style(terminal, STYLE_WARNING), terminal->unicode ? "─" : "~",
            terminal_style(terminal, STYLE_PLAIN));
}

static void print_table(const struct reading *reading, const struct moments *moments)
{
    static const struct table_column columns[] = {
        {.title = "time", .align = TABLE_RIGHT, .style = STYLE_PLACE},
        {.title = "heap", .align = TABLE_RIGHT},
        {.title = "highest since", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "RSS", .align = TABLE_RIGHT},
    };
    struct table *table = table_new(&reading->terminal, columns, 4);
    for (int64_t i = 0; i < moments->count; i++) {
        const struct moment *moment = &moments->list[i];
        table_cell(table, "%s", units_time(moment->time_ns).text);
        table_cell(table, "%s", units_bytes(moment->heap_bytes).text);
        table_cell(table, "%s", units_bytes(moment->heap_peak_bytes).text);
        table_cell(table, "%s", moment->rss_bytes ? units_bytes(moment->rss_bytes).text : "");
    }
    fputc('\n', reading->terminal.out);
    table_print(table);
    table_free(table);
}

static const char *const next_commands[] = {
    "peak %s", "what was live at the peak, with stacks",
    "leaks %s", "what stayed to the end",
};

static int run_timeline(int argc, char **argv)
{
    struct reading reading = READING_INIT;
    struct summary summary;
    struct moments moments;
    int status;
    reading_parse(&timeline_command, &reading, argc, argv, 1);
    reading_thresholds_validate(&reading, thresholds, 2);
    sqlite3 *database = reading_open(&reading);
    summary_load(database, &summary);
    thresholds[0].value = summary.peak_bytes;
    thresholds[1].value = summary.peak_rss_bytes;
    load_moments(database, &moments);
    if (!reading.json) {
        summary_print_title(&reading, &summary);
        summary_print_warnings(&reading, &summary);
        print_graph(&reading, &moments, summary.duration_ns);
    }
    moments.count = thin_out(moments.list, moments.count, reading_limit(&reading, ROWS_SHOWN), summary.duration_ns);
    if (reading.json) {
        status = write_timeline(&reading, &summary, &moments);
    } else {
        print_table(&reading, &moments);
        reading_next(&reading, next_commands, 2);
        status = reading_thresholds(&reading, thresholds, 2, NULL);
    }
    free(moments.list);
    summary_free(&summary);
    reading_close(&reading, database);
    return status;
}

static const struct option_spec timeline_options[] = {
    {"limit", 'n', OPTION_COUNT, offsetof(struct reading, limit), 0, "N",
     "sum up to at most N rows, each with its span's highest level; 0: all (the default with --json)"},
    {0},
};

const struct command timeline_command = {
    .name = "timeline",
    .question = "heap and RSS over time",
    .usage = "[OPTIONS] TRACE",
    .description = "Draws the live heap bytes and the resident set (RSS) over the run. The heap is what the program asked for and has not given "
                   "back; RSS adds code, stacks, file caches and what the allocator keeps.",
    .examples = "heapline timeline app.heapline\n"
                "heapline timeline --json app.heapline | jq '.timeline[] | [.time_ns, .heap_bytes]'\n"
                "\n"
                "--fail-on knows peak and rss.",
    .statuses = READING_STATUSES_FAIL,
    .options = {timeline_options, fail_options, reading_options},
    .run = run_timeline,
};
