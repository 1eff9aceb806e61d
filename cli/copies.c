/* heapline copies: what went through memcpy, memmove and their kin, by line and by stack. */
#include "attribution.h"
#include "line_rows.h"
#include "stack_rows.h"
#include "summary.h"
#include "units.h"

#define LINES_SHOWN 10
#define STACKS_SHOWN 5

static struct threshold_value thresholds[] = {{"copied", 1, 0}, {"copies", 0, 0}};

static const struct stack_listing listing = {COPIED_BYTES, COPIES, "copies", "copy"};

static const char *const next_commands[] = {
    "lines %s --sort copied", "the same lines with what they allocate",
};

static int write_copies(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct line_rows *rows)
{
    struct json json;
    json_begin(&json, stdout, "copies");
    json_integer(&json, "copied_bytes", summary->copied_bytes);
    json_integer(&json, "copies", summary->copies);
    json_integer(&json, "copy_threshold_bytes", summary->copy_threshold_bytes);
    json_text(&json, "by", reading->by ? reading->by : "line");
    json_text(&json, "tag", reading->tag);
    line_rows_json(rows, &json, "lines");
    stack_listing_json(reading, database, &listing, &json);
    int status = reading_thresholds(reading, thresholds, 2, &json);
    reading_json_end(&json);
    return status;
}

static int print_copies(const struct reading *reading, sqlite3 *database, const struct summary *summary, const struct line_rows *rows)
{
    enum attribution by = attribution_parse(reading);
    static const enum measure shown[] = {COPIED_BYTES, COPIES, MEASURE_NONE};
    const struct terminal *terminal = &reading->terminal;
    summary_print_title(reading, summary);
    summary_print_warnings(reading, summary);
    fputc('\n', terminal->out);
    terminal_print(terminal, STYLE_BOLD, "%s", units_bytes(summary->copied_bytes).text);
    fprintf(terminal->out, " copied in %s (realloc's moves included).\n", units_noun(summary->copies, "copy").text);
    if (rows->count == 0) {
        fputs("No copy was recorded; was the program recorded with --no-copies?\n", terminal->out);
    } else {
        terminal_heading(terminal, attribution_title(by), NULL);
        line_rows_table(reading, database, rows, shown, LINE_TABLE_SHARE | LINE_TABLE_CALLERS | LINE_TABLE_TOTAL);
        line_rows_explain(reading, rows, 0);
        terminal_heading(terminal, "By stack", "innermost frame first");
        stack_listing_print(reading, database, &listing, reading_limit(reading, STACKS_SHOWN), summary->copied_bytes);
    }
    reading_next(reading, next_commands, 1);
    return reading_thresholds(reading, thresholds, 2, NULL);
}

static int run_copies(int argc, char **argv)
{
    struct reading reading = READING_INIT;
    struct summary summary;
    struct line_rows rows;
    reading_parse(&copies_command, &reading, argc, argv, 1);
    reading_thresholds_validate(&reading, thresholds, 2);
    enum attribution by = attribution_parse(&reading);
    struct line_query query = {
        .order = line_order(&reading, COPIED_BYTES),
        .about = COPIED_BYTES,
        .fold_imports = !reading.json && !reading.all_frames,
        .limit = reading_limit(&reading, LINES_SHOWN),
    };
    sqlite3 *database = reading_open(&reading);
    attribution_apply(&reading, database, by, 0);
    summary_load(database, &summary);
    thresholds[0].value = summary.copied_bytes;
    thresholds[1].value = summary.copies;
    line_rows_load(database, &query, &rows);
    int status = reading.json ? write_copies(&reading, database, &summary, &rows) : print_copies(&reading, database, &summary, &rows);
    line_rows_free(&rows);
    summary_free(&summary);
    reading_close(&reading, database);
    return status;
}

const struct command copies_command = {
    .name = "copies",
    .question = "what is copied, and where?",
    .usage = "[OPTIONS] TRACE",
    .description = "Shows the bytes that went through memcpy, memmove, mempcpy, the string copies and moving reallocs, by line and by stack. "
                   "Copies below the recording's threshold are counted in one row of their own.\n"
                   "Loops that move data themselves (numpy's strided copies and conversions, list copies) do not pass here.",
    .examples = "heapline copies app.heapline\n"
                "heapline copies --fail-on copied=10G app.heapline",
    .statuses = READING_STATUSES_FAIL,
    .options = {row_options, by_options, fail_options, fold_options, reading_options},
    .run = run_copies,
};
