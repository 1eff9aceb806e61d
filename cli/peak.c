/* heapline peak: what was live at the high-water mark, by line and by stack. */
#include "attribution.h"
#include "line_rows.h"
#include "stack_rows.h"
#include "summary.h"
#include "units.h"

#define LINES_SHOWN 10
#define STACKS_SHOWN 5

static struct threshold_value thresholds[] = {{"peak", 1, 0}};

static const struct stack_listing listing = {PEAK_BYTES, PEAK_ALLOCATIONS, "allocations", "block"};

static const char *const next_commands[] = {
    "lines %s", "every line; --source FILE annotates a file",
    "timeline %s", "the way to the peak",
};

static int write_peak(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct line_rows *rows)
{
    struct json json;
    json_begin(&json, stdout, "peak");
    json_integer(&json, "peak_bytes", summary->peak_bytes);
    json_integer(&json, "peak_time_ns", summary->peak_time_ns);
    json_object(&json, ESTIMATE_KEY);
    estimate_json(&json, "peak_bytes", summary_peak_interval(summary));
    json_object_end(&json);
    json_text(&json, "by", reading->by ? reading->by : "line");
    json_text(&json, "tag", reading->tag);
    line_rows_json(rows, &json, "lines");
    stack_listing_json(reading, database, &listing, &json);
    int status = reading_thresholds(reading, thresholds, 1, &json);
    reading_json_end(&json);
    return status;
}

static int print_peak(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct line_rows *rows)
{
    enum attribution by = attribution_parse(reading);
    static const enum measure shown[] = {PEAK_BYTES, PEAK_ALLOCATIONS, MEASURE_NONE};
    const struct terminal *terminal = &reading->terminal;
    summary_print_title(reading, summary);
    summary_print_warnings(reading, summary);
    fprintf(terminal->out, "\nAt its peak, %s after the start, the heap held ", units_time(summary->peak_time_ns).text);
    terminal_print(terminal, STYLE_BOLD, "%s", units_bytes(summary->peak_bytes).text);
    if (summary->sampling_interval_bytes)
        fprintf(terminal->out, " (95 %%: %s)", estimate_bytes_text(summary_peak_interval(summary)).text);
    fputs(".\n", terminal->out);
    if (reading->tag)
        fprintf(terminal->out, "Of these, %s had been allocated under the tag '%s'.\n", units_bytes(rows->total.measures[PEAK_BYTES]).text, reading->tag);
    terminal_heading(terminal, attribution_title(by), NULL);
    line_rows_table(reading, database, rows, shown, LINE_TABLE_SHARE | LINE_TABLE_CALLERS | LINE_TABLE_TOTAL);
    line_rows_explain(reading, rows, 0);
    terminal_heading(terminal, "By stack", "innermost frame first");
    stack_listing_print(reading, database, &listing, reading_limit(reading, STACKS_SHOWN), summary->peak_bytes);
    reading_next(reading, next_commands, 2);
    return reading_thresholds(reading, thresholds, 1, NULL);
}

static int run_peak(int argc, char **argv)
{
    struct reading reading = READING_INIT;
    struct summary summary;
    struct line_rows rows;
    reading_parse(&peak_command, &reading, argc, argv, 1);
    reading_thresholds_validate(&reading, thresholds, 1);
    enum attribution by = attribution_parse(&reading);
    struct line_query query = {
        .order = line_order(&reading, PEAK_BYTES),
        .about = PEAK_BYTES,
        .fold_imports = !reading.json && !reading.all_frames,
        .limit = reading_limit(&reading, LINES_SHOWN),
    };
    sqlite3 *database = reading_open(&reading);
    attribution_apply(&reading, database, by, 0);
    summary_load(database, &summary);
    thresholds[0].value = summary.peak_bytes;
    line_rows_load(database, &query, &rows);
    int status = reading.json ? write_peak(&reading, database, &summary, &rows) : print_peak(&reading, database, &summary, &rows);
    line_rows_free(&rows);
    summary_free(&summary);
    reading_close(&reading, database);
    return status;
}

const struct command peak_command = {
    .name = "peak",
    .question = "what was live at the high-water mark?",
    .usage = "[OPTIONS] TRACE",
    .description = "Shows what the heap held at its high-water mark, exact to the event: by line, then by stack with the innermost frame first. "
                   "To need less memory, start with the first row.\n"
                   "'arena slack' is memory that Python's object allocator had mapped and no live object used.",
    .examples = "heapline peak app.heapline\n"
                "heapline peak --limit 3 --all-frames app.heapline\n"
                "heapline peak --fail-on peak=2G app.heapline",
    .statuses = READING_STATUSES_FAIL,
    .options = {row_options, by_options, fail_options, fold_options, reading_options},
    .run = run_peak,
};
