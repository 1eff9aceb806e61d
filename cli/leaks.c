/* heapline leaks: what was live at the end and kept growing, best evidence first. */
#include <stdlib.h>
#include <string.h>

#include "leak_rows.h"
#include "stack_rows.h"
#include "summary.h"
#include "suppressions.h"
#include "text.h"
#include "units.h"

#define CANDIDATES_SHOWN 10
#define FRAME_LINES 12
#define EVIDENCE_INDENT 12

static struct threshold_value thresholds[] = {{"live", 1, 0}, {"growth", 1, 0}, {"candidates", 0, 0}};
#define THRESHOLD_COUNT 3

static void fill_thresholds(const struct leak_rows *rows)
{
    thresholds[0].value = rows->live_bytes;
    for (int64_t i = 0; i < rows->count; i++) {
        if (rows->rows[i].confidence < LEAK_CONFIDENT)
            continue;
        thresholds[1].value += (int64_t)rows->rows[i].growth_bytes_per_second;
        thresholds[2].value++;
    }
}

/* file, line and function of the line that the stack is credited to. */
static void write_place(struct json *json, sqlite3_stmt *place, int64_t stack_id)
{
    sqlite3_reset(place);
    sqlite3_bind_int64(place, 1, stack_id);
    int found = sqlite3_step(place) == SQLITE_ROW;
    json_text(json, "file", found ? (const char *)sqlite3_column_text(place, 0) : NULL);
    if (found && sqlite3_column_int64(place, 1) > 0)
        json_integer(json, "line", sqlite3_column_int64(place, 1));
    else
        json_null(json, "line");
    json_text(json, "function", found ? (const char *)sqlite3_column_text(place, 2) : NULL);
}

static void write_candidate(struct json *json, const struct leak_row *row, sqlite3_stmt *place, struct stack_walker *walker)
{
    char evidence[256];
    json_object(json, NULL);
    write_place(json, place, row->stack_id);
    json_integer(json, "live_bytes", row->live_bytes);
    json_integer(json, "live_allocations", row->live_allocations);
    json_integer(json, "growth_bytes_per_second", (int64_t)(row->growth_bytes_per_second + 0.5));
    json_real(json, "confidence", row->confidence);
    leak_evidence(row, evidence, sizeof evidence);
    json_text(json, "evidence", evidence);
    if (row->oldest_ns >= 0) {
        json_integer(json, "oldest_age_ns", row->oldest_ns);
        json_integer(json, "newest_age_ns", row->newest_ns);
    }
    stack_frames_json(stack_walk(walker, row->stack_id), json);
    json_object_end(json);
}

static int write_leaks(const struct reading *reading, sqlite3 *database, const struct leak_rows *rows,
                       const struct suppressions *suppressions)
{
    struct json json;
    struct stack_walker walker;
    int64_t limit = reading_limit(reading, 0);
    sqlite3_stmt *place = query_prepare(database, LEAK_PLACE_SQL);
    stack_walker_init(&walker, database);
    json_begin(&json, stdout, "leaks");
    json_integer(&json, "live_bytes_at_end", rows->live_bytes + suppressions->total.bytes);
    json_array(&json, "candidates");
    for (int64_t i = 0; i < rows->count && (!limit || i < limit); i++)
        write_candidate(&json, &rows->rows[i], place, &walker);
    json_array_end(&json);
    suppressions_json(suppressions, &json);
    int status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
    reading_json_end(&json);
    sqlite3_finalize(place);
    stack_walker_done(&walker);
    return status;
}

/* The level at the end of each window, as a sparkline scaled to itself. */
static void print_growth(const struct reading *reading, sqlite3_stmt *series, const struct leak_row *row)
{
    sqlite3_reset(series);
    sqlite3_bind_int64(series, 1, row->stack_id);
    fputs(terminal_style(&reading->terminal, STYLE_BAR), reading->terminal.out);
    while (sqlite3_step(series) == SQLITE_ROW) {
        double share = row->live_bytes > 0 ? sqlite3_column_double(series, 0) / (double)row->live_bytes : 0;
        fputs(terminal_spark(&reading->terminal, share), reading->terminal.out);
    }
    fputs(terminal_style(&reading->terminal, STYLE_PLAIN), reading->terminal.out);
}

static void print_candidate(const struct reading *reading, const struct leak_row *row, sqlite3_stmt *series, struct stack_walker *walker)
{
    const struct terminal *terminal = &reading->terminal;
    char evidence[256];
    terminal_print(terminal, STYLE_BOLD, "%10s", units_bytes(row->live_bytes).text);
    if (row->live_allocations)
        fprintf(terminal->out, "  in %s", units_noun(row->live_allocations, "block").text);
    if (row->confidence > 0)
        fprintf(terminal->out, "  +%s/s  confidence %.2f", units_bytes((int64_t)row->growth_bytes_per_second).text, row->confidence);
    if (row->stack_id >= 0) {
        fputs("  ", terminal->out);
        print_growth(reading, series, row);
    }
    leak_evidence(row, evidence, sizeof evidence);
    fputc('\n', terminal->out);
    fprintf(terminal->out, "%s%*s", terminal_style(terminal, STYLE_DIM), EVIDENCE_INDENT, "");
    terminal_wrap(terminal->out, evidence, terminal->width, EVIDENCE_INDENT);
    fprintf(terminal->out, "%s\n", terminal_style(terminal, STYLE_PLAIN));
    stack_frames_print(reading, stack_walk(walker, row->stack_id), FRAME_LINES);
}

static const char *const next_commands[] = {
    "timeline %s", "does the heap as a whole grow?",
    "lines %s --sort live", "the same by line",
};

static int print_leaks(struct reading *reading, sqlite3 *database, const struct leak_rows *rows, const struct suppressions *suppressions)
{
    struct summary summary;
    struct stack_walker walker;
    int64_t limit = reading_limit(reading, CANDIDATES_SHOWN), rest_bytes = 0;
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    fprintf(reading->terminal.out, "\n%s live at the end%s, from %s; %s of them kept growing.\n\n", units_bytes(rows->live_bytes).text,
            suppressions->total.stacks ? " and not suppressed" : "",
            units_noun(rows->count, "stack").text, thresholds[2].value ? units_count(thresholds[2].value).text : "none");
    sqlite3_stmt *series = query_prepare(database, "SELECT coalesce(window_use.live_bytes, 0) FROM window LEFT JOIN window_use "
                                                   "ON window_use.stack_id = ?1 AND window_use.window_id = window.window_id ORDER BY end_time_ns");
    stack_walker_init(&walker, database);
    for (int64_t i = 0; i < rows->count; i++) {
        if (!limit || i < limit)
            print_candidate(reading, &rows->rows[i], series, &walker);
        else
            rest_bytes += rows->rows[i].live_bytes;
    }
    if (limit && rows->count > limit)
        terminal_print(&reading->terminal, STYLE_DIM, "%10s  in %s (--limit 0 shows all)\n", units_bytes(rest_bytes).text,
                       units_noun(rows->count - limit, "further stack").text);
    suppressions_print(reading, suppressions, 1);
    sqlite3_finalize(series);
    stack_walker_done(&walker);
    summary_free(&summary);
    reading_next(reading, next_commands, 2);
    return reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
}

static int run_leaks(int argc, char **argv)
{
    struct reading reading = READING_INIT;
    struct leak_rows rows;
    struct suppressions suppressions;
    reading_parse(&leaks_command, &reading, argc, argv, 1);
    reading_thresholds_validate(&reading, thresholds, THRESHOLD_COUNT);
    suppressions_load(reading.suppressions, &suppressions);
    sqlite3 *database = reading_open(&reading);
    leak_rows_load(database, &rows);
    suppressions_apply(&suppressions, database, &rows);
    fill_thresholds(&rows);
    int status = reading.json ? write_leaks(&reading, database, &rows, &suppressions)
                              : print_leaks(&reading, database, &rows, &suppressions);
    leak_rows_free(&rows);
    suppressions_free(&suppressions);
    reading_close(&reading, database);
    return status;
}

const struct command leaks_command = {
    .name = "leaks",
    .question = "what was never freed, and does it grow?",
    .usage = "[OPTIONS] TRACE",
    .description = "Lists the stacks whose memory was still live at the end, best leak candidates first: how much, since when, how fast it grew "
                   "after the first quarter of the run (in which caches fill), and how confident that makes us, from 0 to 1. What was allocated "
                   "early, once or in one go scores low; what grew steadily to the end scores high.",
    .examples = "heapline leaks service.heapline\n"
                "heapline leaks --fail-on growth=10K service.heapline  # bytes a second\n"
                "heapline leaks --suppressions known.supp --fail-on live=0 app.heapline\n"
                "\n"
                "--fail-on knows live (bytes at the end), growth (bytes a second) and candidates\n"
                "(how many), the last two over candidates of confidence 0.5 and more. What is\n"
                "suppressed counts for none.",
    .statuses = READING_STATUSES_FAIL,
    .options = {limit_options, suppression_options, fail_options, fold_options, reading_options},
    .run = run_leaks,
};
