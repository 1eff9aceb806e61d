/* heapline leaks: which lines kept growing, since when, how fast, and why we think so. */
#include <stdlib.h>
#include <string.h>

#include "leak_groups.h"
#include "leak_print.h"
#include "leak_processes.h"
#include "object_rows.h"
#include "stack_rows.h"
#include "summary.h"
#include "suppressions.h"
#include "units.h"

#define CANDIDATES_SHOWN 10
#define OTHERS_SHOWN 3 /* of what doesn't grow, where something does */

struct settings {
    struct reading reading;
    uint64_t limit_bytes; /* 0: the cgroup's */
    int all_processes;
};

static const struct option_spec leak_options[] = {
    {"memory-limit", 0, OPTION_BYTES, offsetof(struct settings, limit_bytes), 0, "SIZE",
     "say when growth reaches SIZE of resident memory (default: the limit of the cgroup that the program ran in)"},
    {"all-processes", 0, OPTION_SET, offsetof(struct settings, all_processes), 1, NULL,
     "of every process of the run, by line: what a server's worker processes leak"},
    {0},
};

enum { THRESHOLD_LIVE, THRESHOLD_GROWTH, THRESHOLD_CANDIDATES, THRESHOLD_CONFIDENCE, THRESHOLD_COUNT };
static struct threshold_value thresholds[THRESHOLD_COUNT] = {
    {"live", THRESHOLD_BYTES, 0}, {"growth", THRESHOLD_BYTES, 0}, {"candidates", THRESHOLD_COUNT_OF, 0}, {"confidence", THRESHOLD_SHARE, 0},
};

static void fill_thresholds(const struct leak_rows *rows)
{
    double highest = 0;
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->rows[i].growth.confidence > highest)
            highest = rows->rows[i].growth.confidence;
    thresholds[THRESHOLD_LIVE].value = rows->end_bytes;
    thresholds[THRESHOLD_GROWTH].value = (int64_t)rows->growth_bytes_per_second;
    thresholds[THRESHOLD_CANDIDATES].value = rows->leak_count;
    thresholds[THRESHOLD_CONFIDENCE].value = (int64_t)(highest * THRESHOLD_SHARE_UNIT);
}

static int write_leaks(const struct reading *reading, sqlite3 *database, const struct leak_rows *rows,
                       const struct suppressions *suppressions)
{
    struct json json;
    struct stack_walker walker;
    int64_t limit = reading_limit(reading, 0);
    stack_walker_init(&walker, database);
    json_begin(&json, stdout, "leaks");
    json_integer(&json, "live_bytes", rows->live_bytes);
    json_integer(&json, "live_bytes_at_end", rows->end_bytes + suppressions->total.bytes);
    json_integer(&json, "judged_ns", rows->judged_ns);
    if (rows->teardown_ns >= 0)
        json_integer(&json, "teardown_ns", rows->teardown_ns);
    else
        json_null(&json, "teardown_ns");
    if (rows->held_count)
        json_integer(&json, "idle_ns", rows->idle_ns);
    else
        json_null(&json, "idle_ns");
    json_integer(&json, "growing", rows->confident_count);
    json_integer(&json, "leaks", rows->leak_count);
    json_integer(&json, "growth_bytes_per_second", (int64_t)(rows->growth_bytes_per_second + 0.5));
    json_real(&json, "survival", rows->survival);
    if (rows->limit_bytes)
        json_integer(&json, "memory_limit_bytes", rows->limit_bytes);
    else
        json_null(&json, "memory_limit_bytes");
    json_array(&json, "candidates");
    for (int64_t i = 0; i < rows->count && (!limit || i < limit); i++)
        leak_candidate_json(&json, rows, &rows->rows[i], &walker);
    json_array_end(&json);
    suppressions_json(suppressions, &json);
    int status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
    reading_json_end(&json);
    stack_walker_done(&walker);
    return status;
}

/* ---- text ---- */

static const char *const next_commands[] = {
    "timeline %s", "does the heap as a whole grow?",
    "lines %s --sort live", "what was live at the end, by line",
};

static void print_conclusion(const struct reading *reading, const struct leak_rows *rows, const struct suppressions *suppressions)
{
    FILE *out = reading->terminal.out;
    fprintf(out, "\n%s live at %s%s, from %s; ", units_bytes(rows->live_bytes).text,
            rows->teardown_ns >= 0 ? units_time(rows->judged_ns).text : "the end",
            suppressions->total.stacks ? " and not suppressed" : "", units_noun(rows->count, "line").text);
    if (!rows->confident_count)
        fputs("none of them kept growing.\n", out);
    else
        fprintf(out, "%s of them kept growing, by %s/s", units_count(rows->confident_count).text,
                units_bytes((int64_t)rows->growth_bytes_per_second).text);
    if (rows->leak_count < rows->confident_count)
        fprintf(out, "; those in step taken together, %s", units_noun(rows->leak_count, "candidate").text);
    if (rows->confident_count)
        fputs(".\n", out);
    if (rows->teardown_ns >= 0)
        fprintf(out, "From %s on the program freed what it held, because it ended: %s live at the end.\n", units_time(rows->teardown_ns).text,
                units_bytes(rows->end_bytes).text);
    if (rows->held_count)
        fprintf(out, "From %s on the program had next to nothing to do. %s grew until then, and come%s %s.\n", units_time(rows->idle_ns).text,
                units_noun(rows->held_count, rows->confident_count ? "further line" : "line").text, rows->held_count == 1 ? "s" : "",
                rows->confident_count ? "next" : "first");
    if (rows->limit_bytes && rows->growth_bytes_per_second > 0 && rows->limit_bytes > rows->resident_bytes) {
        double seconds = (double)(rows->limit_bytes - rows->resident_bytes) / rows->growth_bytes_per_second;
        if (seconds < 9e9)
            fprintf(out, "At this pace %s resident become the limit of %s in %s.\n", units_bytes(rows->resident_bytes).text,
                    units_bytes(rows->limit_bytes).text, units_time((int64_t)(seconds * 1e9)).text);
    }
    fputc('\n', out);
}

/* The further lines of a leak stand below its first. */
static int is_entry(const struct leak_row *row)
{
    return !row->leak || row->is_first;
}

/* All leaks, as far as they are wanted; of the others fewer. 0: all. */
static int64_t entries_shown(const struct reading *reading, const struct leak_rows *rows)
{
    int64_t limit = reading_limit(reading, rows->leak_count ? rows->leak_count + OTHERS_SHOWN : CANDIDATES_SHOWN);
    return reading->limit == LIMIT_DEFAULT && limit > CANDIDATES_SHOWN ? CANDIDATES_SHOWN : limit;
}

static int print_leaks(struct reading *reading, sqlite3 *database, const struct leak_rows *rows, const struct suppressions *suppressions)
{
    struct summary summary;
    struct stack_walker walker;
    int64_t shown = entries_shown(reading, rows), entries = 0, rest_bytes = 0, rest_lines = 0;
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    print_conclusion(reading, rows, suppressions);
    stack_walker_init(&walker, database);
    for (int64_t i = 0; i < rows->count; i++) {
        if (!is_entry(&rows->rows[i]))
            continue;
        if (!shown || entries++ < shown) {
            leak_print_entry(reading, rows, &rows->rows[i], &walker);
            continue;
        }
        rest_bytes += rows->rows[i].leak ? leak_sum(rows, rows->rows[i].leak).live_bytes : rows->rows[i].live_bytes;
        rest_lines += rows->rows[i].leak ? leak_sum(rows, rows->rows[i].leak).lines : 1;
    }
    if (rest_lines)
        terminal_print(&reading->terminal, STYLE_DIM, "%10s  in %s (--limit 0 shows all)\n", units_bytes(rest_bytes).text,
                       units_noun(rest_lines, "further line").text);
    suppressions_print(reading, suppressions, 1);
    stack_walker_done(&walker);
    summary_free(&summary);
    reading_next(reading, next_commands, 2);
    return reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
}

static int all_processes(const struct settings *settings)
{
    const struct reading *reading = &settings->reading;
    struct leak_processes leaks;
    struct suppressions suppressions;
    struct json json;
    int status;
    suppressions_load(reading->suppressions, &suppressions);
    leak_processes_load(reading, &suppressions, settings->limit_bytes, &leaks);
    thresholds[THRESHOLD_LIVE].value = leaks.end_bytes;
    thresholds[THRESHOLD_GROWTH].value = (int64_t)leaks.bytes_per_second;
    for (int i = 0; i < leaks.place_count; i++) {
        int64_t confidence = (int64_t)(leaks.places[i].whole.confidence * THRESHOLD_SHARE_UNIT);
        thresholds[THRESHOLD_CANDIDATES].value += leaks.places[i].whole.confidence >= LEAK_CONFIDENT;
        if (confidence > thresholds[THRESHOLD_CONFIDENCE].value)
            thresholds[THRESHOLD_CONFIDENCE].value = confidence;
    }
    if (reading->json) {
        json_begin(&json, stdout, "leaks");
        leak_processes_write(reading, &leaks, &json);
        suppressions_json(&suppressions, &json);
        status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
        reading_json_end(&json);
    } else {
        leak_processes_print(reading, &leaks);
        suppressions_print(reading, &suppressions, 1);
        status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
    }
    leak_processes_free(&leaks);
    suppressions_free(&suppressions);
    return status;
}

static int run_leaks(int argc, char **argv)
{
    struct settings settings = {.reading = READING_INIT};
    struct reading *reading = &settings.reading;
    struct leak_rows rows;
    struct object_rows objects;
    struct suppressions suppressions;
    reading_parse(&leaks_command, reading, argc, argv, 1);
    reading_thresholds_validate(reading, thresholds, THRESHOLD_COUNT);
    if (settings.all_processes)
        return all_processes(&settings);
    suppressions_load(reading->suppressions, &suppressions);
    sqlite3 *database = reading_open(reading);
    leak_rows_load(database, &suppressions, settings.limit_bytes, &rows);
    object_rows_load(database, &objects);
    rows.objects = &objects;
    rows.database = database;
    fill_thresholds(&rows);
    int status = reading->json ? write_leaks(reading, database, &rows, &suppressions)
                               : print_leaks(reading, database, &rows, &suppressions);
    leak_rows_free(&rows);
    object_rows_free(&objects);
    suppressions_free(&suppressions);
    reading_close(reading, database);
    return status;
}

const struct command leaks_command = {
    .name = "leaks",
    .question = "which lines keep growing, since when and how fast?",
    .usage = "[OPTIONS] TRACE",
    .description = "Lists lines by the evidence that they leak: what they hold that was never given back grows after the first quarter of the run "
                   "(in which caches fill), steadily, until the program ends. Confidence says how far that is so, from 0 to 1: 0.5 and more "
                   "is reported. A cache that is full, batches, what came in one go and what fluctuates score low. A program that frees all "
                   "when it ends is judged by what it held before. Growth that is wanted looks the same: the line tells.\n"
                   "Lines near each other that grow in step are one candidate; with --json each line has the number of its 'leak'.\n"
                   "A program with children has a trace for each process; TRACE is judged alone, with --all-processes all of its run.",
    .examples = "heapline leaks service.heapline\n"
                "heapline leaks --memory-limit 2G service.heapline      # full when?\n"
                "heapline leaks --all-processes server.heapline         # of its workers, too\n"
                "heapline leaks --fail-on 0.8 service.heapline          # in CI: a confidence\n"
                "heapline leaks --fail-on growth=10K service.heapline   # bytes a second\n"
                "heapline leaks --suppressions known.supp --fail-on live=0 app.heapline\n"
                "\n"
                "--fail-on knows confidence (the highest; exceeded where it is reached), live\n"
                "(bytes at the end), growth (bytes a second) and candidates (how many; lines in\n"
                "step with each other are one), the last two over lines of confidence 0.5 and\n"
                "more. What is suppressed counts for none.",
    .statuses = READING_STATUSES_FAIL,
    .options = {leak_options, limit_options, suppression_options, fail_options, fold_options, reading_options},
    .run = run_leaks,
};
