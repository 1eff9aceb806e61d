/* heapline lines: every source line's figures, or one file's source with them beside it. */
#include "attribution.h"
#include "line_rows.h"
#include "source.h"
#include "summary.h"

#define LINES_SHOWN 20

struct lines_settings {
    struct reading reading;
    const char *source;
    int inclusive;
};

static const struct option_spec lines_options[] = {
    {"source", 'S', OPTION_TEXT, offsetof(struct lines_settings, source), 0, "FILE",
     "print FILE with its lines' figures beside them; the path, its end or its base name will do. --limit N: only around the N "
     "largest lines"},
    {"inclusive", 'i', OPTION_SET, offsetof(struct lines_settings, inclusive), 1, NULL,
     "count for every line on the stack, not only the innermost: what a call cost with all it called. Rows overlap"},
    {0},
};

static struct threshold_value thresholds[] = {{"peak", 1, 0}, {"live", 1, 0}, {"allocated", 1, 0}, {"copied", 1, 0}};
#define THRESHOLD_COUNT 4

/* --fail-on speaks of the largest line. */
static void fill_thresholds(sqlite3 *database, int inclusive)
{
    static const char exclusive_sql[] = "SELECT max(peak_bytes), max(live_bytes), max(allocated_bytes), max(copied_bytes) FROM line_use";
    static const char inclusive_sql[] =
        "SELECT max(peak_bytes), max(live_bytes), max(allocated_bytes), max(copied_bytes) FROM line_use_inclusive";
    sqlite3_stmt *row = query_prepare(database, inclusive ? inclusive_sql : exclusive_sql);
    if (query_step(row)) {
        for (int i = 0; i < THRESHOLD_COUNT; i++)
            thresholds[i].value = sqlite3_column_int64(row, i);
        sqlite3_finalize(row);
    }
}

static int write_lines(const struct lines_settings *settings, sqlite3 *database, const struct line_query *query)
{
    struct json json;
    struct line_rows rows;
    json_begin(&json, stdout, "lines");
    json_boolean(&json, "inclusive", settings->inclusive);
    json_text(&json, "by", settings->reading.by ? settings->reading.by : "line");
    json_text(&json, "tag", settings->reading.tag);
    if (settings->source) {
        source_annotate(&settings->reading, database, settings->source, query, &json);
    } else {
        line_rows_load(database, query, &rows);
        line_rows_json(&rows, &json, "lines");
        line_rows_free(&rows);
    }
    int status = reading_thresholds(&settings->reading, thresholds, THRESHOLD_COUNT, &json);
    reading_json_end(&json);
    return status;
}

static const char *const next_commands[] = {
    "lines %s --source FILE", "a file's source, annotated",
    "peak %s", "what was live at the peak, with stacks",
};

static void print_lines(const struct lines_settings *settings, sqlite3 *database, const struct line_query *query)
{
    static const enum measure shown[] = {PEAK_BYTES, LIVE_BYTES, ALLOCATED_BYTES, ALLOCATIONS, TEMPORARY_ALLOCATIONS, COPIED_BYTES, MEASURE_NONE};
    const struct reading *reading = &settings->reading;
    struct summary summary;
    struct line_rows rows;
    line_rows_load(database, query, &rows);
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    terminal_heading(&reading->terminal, settings->inclusive ? "Lines, with all they called" : settings->reading.by ? attribution_title(attribution_parse(reading)) : "Lines",
                     settings->inclusive ? "a byte counts for every line on its stack: rows overlap" : NULL);
    line_rows_table(reading, database, &rows, shown, settings->inclusive ? 0 : LINE_TABLE_CALLERS | LINE_TABLE_TOTAL);
    line_rows_explain(reading, &rows, 0);
    if (rows.more_count)
        terminal_print(&reading->terminal, STYLE_DIM, "--limit 0 shows all %ss.\n", attribution_noun(attribution_parse(reading)));
    line_rows_free(&rows);
    summary_free(&summary);
    reading_next(reading, next_commands, 2);
}

static int run_lines(int argc, char **argv)
{
    struct lines_settings settings = {.reading = READING_INIT};
    struct reading *reading = &settings.reading;
    int status;
    reading_parse(&lines_command, reading, argc, argv, 1);
    reading_thresholds_validate(reading, thresholds, THRESHOLD_COUNT);
    enum attribution by = attribution_parse(reading);
    if (settings.source && (by == ATTRIBUTE_FUNCTION || by == ATTRIBUTE_MODULE))
        fail_usage("lines", "lines: --source shows lines: --by %s has none", attribution_name(by));
    struct line_query query = {
        .inclusive = settings.inclusive,
        .order = line_order(reading, PEAK_BYTES),
        .about = MEASURE_NONE,
        /* Inclusive rows overlap: their sum would mean nothing. */
        .fold_imports = !reading->json && !reading->all_frames && !settings.inclusive,
        .limit = reading_limit(reading, LINES_SHOWN),
    };
    sqlite3 *database = reading_open(reading);
    attribution_apply(reading, database, by, settings.inclusive);
    fill_thresholds(database, settings.inclusive);
    if (reading->json) {
        status = write_lines(&settings, database, &query);
    } else {
        if (settings.source)
            source_annotate(reading, database, settings.source, &query, NULL);
        else
            print_lines(&settings, database, &query);
        status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
    }
    reading_close(reading, database);
    return status;
}

const struct command lines_command = {
    .name = "lines",
    .question = "every source line: held, allocated, copied; or a file annotated",
    .usage = "[OPTIONS] TRACE",
    .description = "Credits every byte to a source line: the innermost Python line, else the innermost native one. Columns: live at the peak, live "
                   "at the end, allocated in all, how often, how many of those were temporary (freed before the thread's next allocation), "
                   "copied. The rows add up to the total.",
    .examples = "heapline lines app.heapline\n"
                "heapline lines app.heapline --source train.py\n"
                "heapline lines app.heapline --inclusive --sort allocated --limit 50\n"
                "heapline lines app.heapline --fail-on peak=100M    # no line may hold more at the peak\n"
                "\n"
                "--fail-on knows peak, live, allocated and copied, each of the largest line.",
    .statuses = READING_STATUSES_FAIL,
    .options = {lines_options, row_options, by_options, fail_options, fold_options, reading_options},
    .run = run_lines,
};
