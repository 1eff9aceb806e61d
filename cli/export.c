/* heapline export: a trace's figures, symbols resolved, in the formats of other programs. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "cost.h"
#include "export.h"
#include "memory.h"
#include "output.h"
#include "report_database.h"

#define FORMAT_NAMES "html, folded, flamegraph, speedscope, pprof, parquet, memory_profiler, openmetrics, csv or json"

struct export_settings {
    struct reading reading;
    const char *format, *output, *cost;
    int processes, no_source;
    struct text_list confidential;
};

static const struct option_spec export_options[] = {
    {"format", 'f', OPTION_TEXT, offsetof(struct export_settings, format), 0, "FORMAT", FORMAT_NAMES},
    {"output", 'o', OPTION_TEXT, offsetof(struct export_settings, output), 0, "FILE", "write to FILE; without it to standard output"},
    {"cost", 'c', OPTION_TEXT, offsetof(struct export_settings, cost), 0, "WHAT",
     "of folded, flamegraph and memory_profiler: peak (default), live, allocated, temporary or copied; of pprof: what 'in use' means, peak or live"},
    {"processes", 'p', OPTION_SET, offsetof(struct export_settings, processes), 1, NULL,
     "of html, pprof, parquet and openmetrics: all processes of the run, and not only the one whose trace is named"},
    VIEWER_OPTIONS(struct export_settings),
    {"limit", 'n', OPTION_COUNT, offsetof(struct export_settings, reading.limit), 0, "N", "of openmetrics: N lines by each figure; default: 50, 0: all"},
    {0},
};

enum format_flag {
    FORMAT_PROCESSES = 1, /* can hold several */
    FORMAT_BINARY = 2,    /* not for a terminal */
    FORMAT_NOTES = 4,     /* says itself what its reader must know; of others it is said on stderr */
};

static const struct format {
    const char *name;
    void (*write)(const struct export *export);
    int flags;
} formats[] = {
    {"html", export_html, FORMAT_PROCESSES | FORMAT_NOTES},
    {"folded", export_folded, 0},
    {"flamegraph", export_flamegraph, FORMAT_NOTES},
    {"speedscope", export_speedscope, 0},
    {"pprof", export_pprof, FORMAT_PROCESSES | FORMAT_BINARY | FORMAT_NOTES},
    {"parquet", export_parquet, FORMAT_PROCESSES | FORMAT_BINARY | FORMAT_NOTES},
    {"memory_profiler", export_memory_profiler, 0},
    {"openmetrics", export_openmetrics, FORMAT_PROCESSES | FORMAT_NOTES},
    {"csv", export_csv, 0},
    {"json", export_json, 0},
};

static const struct format *parse_format(const struct export_settings *settings)
{
    const char *name = settings->format ? settings->format : settings->reading.json ? "json" : NULL;
    for (size_t i = 0; name && i < ARRAY_LENGTH(formats); i++)
        if (!strcmp(name, formats[i].name))
            return &formats[i];
    if (!name)
        fail_usage("export", "export: which --format? " FORMAT_NAMES);
    fail_usage("export", "export: --format is " FORMAT_NAMES ", not '%s'", name);
}

static void check_settings(const struct export_settings *settings, const struct format *format)
{
    if (settings->processes && !(format->flags & FORMAT_PROCESSES))
        fail_usage("export", "export: %s holds one process; name the trace of the one that is wanted", format->name);
    if (format->flags & FORMAT_BINARY && !settings->output && settings->reading.terminal.is_terminal)
        fail_usage("export", "export: %s is binary: give a file with -o", format->name);
}

/* ---- what there is to export ---- */

/* The trace that was named and, if asked for, those of the other processes of its run. */
struct export_list {
    struct report_process *found;
    struct export_process *processes;
    uint32_t found_count, count;
};

static void open_processes(const struct export_settings *settings, sqlite3 *database, struct export_list *list)
{
    struct status_detail detail = {0};
    *list = (struct export_list){0};
    if (settings->processes && report_processes_find(settings->reading.trace, &list->found, &list->found_count, &detail))
        fail_trace(settings->reading.trace, detail.status, &detail);
    list->processes = memory_new((size_t)list->found_count + 1, sizeof *list->processes);
    list->processes[list->count++] = (struct export_process){settings->reading.trace, database};
    for (uint32_t i = 1; i < list->found_count; i++) { /* the first is the one that was named */
        struct reading reading = settings->reading;
        reading.trace = list->found[i].trace_path;
        reading.directory = NULL;
        list->processes[list->count++] = (struct export_process){reading.trace, reading_open(&reading)};
        free((char *)reading.directory);
    }
}

void export_html(const struct export *export)
{
    struct viewer_process *processes = memory_new(export->process_count, sizeof *processes);
    for (uint32_t i = 0; i < export->process_count; i++)
        processes[i] = (struct viewer_process){export->processes[i].trace, export->processes[i].database};
    viewer_page_write(export->reading, processes, export->process_count, &export->viewer, export->out);
    free(processes);
}

static void close_processes(struct export_list *list)
{
    for (uint32_t i = 1; i < list->count; i++)
        sqlite3_close(list->processes[i].database);
    free(list->processes);
    report_processes_free(list->found, list->found_count);
}

/* The reports' warnings are lines that begin with '! '. */
int export_notes(const struct export *export, char **ret_notes)
{
    struct reading reading = *export->reading;
    char *text, *rest;
    size_t bytes;
    int count = 0;
    reading.terminal = (struct terminal){.out = memory_stream(&text, &bytes), .width = INT_MAX, .unicode = 1};
    summary_print_warnings(&reading, &export->summary);
    fclose(reading.terminal.out);
    for (char *line = strtok_r(text, "\n", &rest); line && count < EXPORT_MAX_NOTES; line = strtok_r(NULL, "\n", &rest))
        ret_notes[count++] = memory_copy(line + strlen("! "));
    free(text);
    return count;
}

static void say_notes(const struct export *export)
{
    char *notes[EXPORT_MAX_NOTES];
    int count = export_notes(export, notes);
    for (int i = 0; i < count; i++) {
        warn("%s", notes[i]);
        free(notes[i]);
    }
}

static int run_export(int argc, char **argv)
{
    struct export_settings settings = {.reading = READING_INIT};
    struct export_list list;
    reading_parse(&export_command, &settings.reading, argc, argv, 1);
    const struct format *format = parse_format(&settings);
    struct export export = {.reading = &settings.reading, .cost = cost_parse("export", settings.cost), .is_folded = !settings.reading.all_frames,
                            .viewer = {settings.no_source, &settings.confidential}};
    check_settings(&settings, format);
    if (format->write == export_html)
        viewer_page_require();
    export.database = reading_open(&settings.reading);
    open_processes(&settings, export.database, &list);
    export.processes = list.processes;
    export.process_count = list.count;
    summary_load(export.database, &export.summary);
    if (!(format->flags & FORMAT_NOTES))
        say_notes(&export);
    export.out = output_open(settings.output);
    format->write(&export);
    output_close(export.out, settings.output);
    summary_free(&export.summary);
    close_processes(&list);
    reading_close(&settings.reading, export.database);
    return CLI_DONE;
}

const struct command export_command = {
    .name = "export",
    .question = "an HTML page; for other programs: flame graph, pprof, speedscope, CSV, JSON …",
    .usage = "--format FORMAT [-o FILE] TRACE",
    .description = "Writes what a trace says, with functions and lines resolved, for people or other programs.\n"
                   "html: one page to click through, which needs neither a server nor a network (heapline view opens it). "
                   "folded: a line a stack, callers first, with one figure (--cost), as flamegraph.pl and inferno read it. flamegraph: one SVG file that "
                   "a browser opens, to zoom and search. speedscope: a file for www.speedscope.app, with a profile for each figure. pprof: a gzipped "
                   "profile.proto with what was allocated and what was in use. parquet: a row a stack, with its frames, for DuckDB, Spark and pandas. memory_profiler: the program's own functions in that "
                   "program's table. openmetrics: totals and the largest lines for Prometheus. csv: a row a source line. json: lines and stacks with all their figures.\n"
                   "The interpreter's own frames are left out of stacks, and in the flame graph those of imports, unless --all-frames asks for them.",
    .examples = "heapline export --format html -o app.html app.heapline\n"
                "heapline export --format flamegraph -o peak.svg app.heapline\n"
                "heapline export --format folded --cost copied -o copied.folded app.heapline\n"
                "heapline export --format pprof -o app.pb.gz app.heapline && pprof -http=: app.pb.gz\n"
                "heapline export --format speedscope -o app.speedscope.json app.heapline\n"
                "heapline export --format csv -o lines.csv app.heapline",
    .statuses = READING_STATUSES,
    .options = {export_options, fold_options, reading_options},
    .run = run_export,
};
