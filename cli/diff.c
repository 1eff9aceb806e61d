/* heapline diff: what grew and what shrank between two traces, or between two moments of one. */
#include <math.h>
#include <string.h>

#include "compiler.h"
#include "diff_output.h"
#include "output.h"
#include "viewer_diff.h"
#include "viewer_page.h"

#define ROWS_SHOWN 20

struct diff_settings {
    struct reading reading;
    const char *of, *format, *output;
    int no_source;
    struct text_list confidential;
};

static const struct option_spec diff_options[] = {
    {"of", 'O', OPTION_TEXT, offsetof(struct diff_settings, of), 0, "WHAT",
     "compare peak (what was live at the peaks; default), live (at the end; the default for two traces of one process), allocated, copied or "
     "temporary"},
    {"by", 'b', OPTION_TEXT, offsetof(struct reading, by), 0, "RULE",
     "a row is a line (default), a stack or a function; or, as in 'heapline lines', python, native or module"},
    {"sort", 's', OPTION_TEXT, offsetof(struct reading, sort), 0, "COLUMN",
     "order by significance (default: the part of the change that is no noise, in bytes, grown or shrunk), delta (its size), growth, shrinkage, "
     "old, new, file or function"},
    {"limit", 'n', OPTION_COUNT, offsetof(struct reading, limit), 0, "N",
     "show at most N rows; 0: all, with those within the noise (the default with --json)"},
    {"fail-on", 0, OPTION_TEXTS, offsetof(struct reading, fail_on), 0, "GROWTH",
     "exit with status 1 if the total grew by more than GROWTH, a size (10M) or a percentage (10%); line=GROWTH: if any row did, beyond its noise"},
    {"format", 'f', OPTION_TEXT, offsetof(struct diff_settings, format), 0, "FORMAT",
     "write an HTML page (html), or for other programs: json, csv, or folded (stacks with both figures, for red and blue flame graphs)"},
    {"output", 'o', OPTION_TEXT, offsetof(struct diff_settings, output), 0, "FILE", "write to FILE instead of standard output"},
    VIEWER_OPTIONS(struct diff_settings),
    {0},
};

/* ---- what was asked for ---- */

static struct diff_rule parse_rule(const struct reading *reading)
{
    static const char *const known[] = {"line", "function", "python", "native", "module"};
    if (reading->by && !strcmp(reading->by, "stack"))
        return (struct diff_rule){.by_stack = 1, .by = ATTRIBUTE_LINE};
    for (size_t i = 0; reading->by && i <= ARRAY_LENGTH(known); i++) {
        if (i == ARRAY_LENGTH(known))
            fail_usage("diff", "diff: --by is line, stack, function, python, native or module, not '%s'", reading->by);
        if (!strcmp(reading->by, known[i]))
            break;
    }
    return (struct diff_rule){.by = attribution_parse(reading)};
}

static const struct cost *find_cost(const char *name)
{
    for (int i = 0; i < COST_COUNT; i++)
        if (!strcmp(name, costs[i].name))
            return &costs[i];
    fail_usage("diff", "diff: --of is peak, live, allocated, temporary or copied, not '%s'", name);
}

/* Of two snapshots of one process, and of moments, what is live is compared. */
static const struct cost *choose_cost(const struct diff_settings *settings, const struct diff_side *sides)
{
    int has_moment = sides[0].moment_ns >= 0 || sides[1].moment_ns >= 0;
    if (settings->of && has_moment && strcmp(settings->of, "live"))
        fail_usage("diff", "diff: of a moment only what is live is known: --of %s is for whole runs", settings->of);
    return find_cost(settings->of ? settings->of : has_moment || diff_sides_are_one_process(sides) ? "live" : "peak");
}

static enum diff_order parse_order(const char *name)
{
    static const char *const names[] = {
        [ORDER_SIGNIFICANCE] = "significance", [ORDER_DELTA] = "delta", [ORDER_GROWTH] = "growth", [ORDER_SHRINKAGE] = "shrinkage",
        [ORDER_OLD] = "old", [ORDER_NEW] = "new", [ORDER_FILE] = "file", [ORDER_FUNCTION] = "function",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (!strcmp(name ? name : "significance", names[i]))
            return (enum diff_order)i;
    fail_usage("diff", "diff: cannot sort by '%s': there are significance, delta, growth, shrinkage, old, new, file and function", name);
}

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV, FORMAT_FOLDED, FORMAT_HTML };

static enum format parse_format(const struct diff_settings *settings)
{
    static const char *const names[] = {[FORMAT_TEXT] = "text", [FORMAT_JSON] = "json", [FORMAT_CSV] = "csv", [FORMAT_FOLDED] = "folded",
                                        [FORMAT_HTML] = "html"};
    if (!settings->format)
        return settings->reading.json ? FORMAT_JSON : FORMAT_TEXT;
    for (size_t i = 1; i < ARRAY_LENGTH(names); i++)
        if (!strcmp(settings->format, names[i]))
            return (enum format)i;
    fail_usage("diff", "diff: --format is html, json, csv or folded, not '%s'", settings->format);
}

/* ---- --fail-on ---- */

static struct threshold_value thresholds[] = {
    {"total", THRESHOLD_GREW, 0}, {"total", THRESHOLD_PERCENT, 0}, {"line", THRESHOLD_GREW, 0}, {"line", THRESHOLD_PERCENT, 0},
};
#define THRESHOLD_COUNT 4

/* What grew from nothing grew by more than any percentage. */
static int64_t hundredths(int64_t old_amount, int64_t delta)
{
    double value = old_amount > 0 ? 1e4 * (double)delta / (double)old_amount : delta > 0 ? 1e18 : 0;
    return value > 1e18 ? (int64_t)1e18 : (int64_t)floor(value + 1e-9);
}

static void fill_thresholds(const struct diff_rows *rows)
{
    enum measure amount = rows->of->amount;
    int64_t delta = diff_row_delta(&rows->total, amount);
    thresholds[0].value = delta;
    thresholds[1].value = hundredths(rows->total.measures[0][amount], delta);
    for (int64_t i = 0; i < rows->count; i++) {
        const struct diff_row *row = &rows->rows[i];
        int64_t grown = diff_row_delta(row, amount), share = hundredths(row->measures[0][amount], grown);
        if (diff_row_is_noise(row))
            continue;
        thresholds[2].value = grown > thresholds[2].value ? grown : thresholds[2].value;
        thresholds[3].value = share > thresholds[3].value ? share : thresholds[3].value;
    }
    for (int i = 0; i < THRESHOLD_COUNT && !measures[amount].is_bytes; i++)
        thresholds[i].kind = thresholds[i].kind == THRESHOLD_GREW ? THRESHOLD_COUNT_OF : thresholds[i].kind;
}

/* ---- output ---- */

static int write_document(const struct reading *reading, FILE *out, const struct diff_side *sides, const struct diff_rows *rows)
{
    struct json json;
    json_begin(&json, out, "diff");
    diff_write_json(&json, sides, rows, reading_limit(reading, 0));
    int status = reading_thresholds(reading, thresholds, THRESHOLD_COUNT, &json);
    json_end(&json);
    return status;
}

struct page {
    struct viewer_pair pair;
    struct viewer_choice choice;
};

static void write_content(const void *context, const struct viewer_bounds *bounds, struct json *json)
{
    const struct page *page = context;
    viewer_pair_write(&page->pair, &page->choice, bounds, json);
}

static void write_page(const struct diff_settings *settings, FILE *out, const struct diff_side *sides, const struct diff_rows *rows)
{
    struct page page = {.choice = {settings->no_source, &settings->confidential}};
    viewer_pair_init(&page.pair, sides, rows);
    viewer_page_fill(write_content, &page, page.pair.set.stack_count, out);
    viewer_pair_done(&page.pair);
}

static int write_output(struct diff_settings *settings, enum format format, const struct diff_side *sides, const struct diff_rows *rows)
{
    struct reading *reading = &settings->reading;
    FILE *out = output_open(settings->output);
    int status = CLI_DONE;
    if (format == FORMAT_JSON)
        status = write_document(reading, out, sides, rows);
    else if (format == FORMAT_CSV)
        diff_write_csv(out, sides, rows, reading->limit == LIMIT_DEFAULT ? 0 : reading->limit);
    else if (format == FORMAT_FOLDED)
        diff_write_folded(out, sides, rows);
    else if (format == FORMAT_HTML)
        write_page(settings, out, sides, rows);
    else
        diff_print(reading, sides, rows, reading_limit(reading, ROWS_SHOWN));
    output_close(out, settings->output);
    return format == FORMAT_JSON ? status : reading_thresholds(reading, thresholds, THRESHOLD_COUNT, NULL);
}

static int run_diff(int argc, char **argv)
{
    struct diff_settings settings = {.reading = READING_INIT};
    struct reading *reading = &settings.reading;
    struct diff_side sides[2] = {0};
    struct diff_rows rows;
    if (reading_parse(&diff_command, reading, argc, argv, 2) < 2)
        fail_usage("diff", "diff: with which trace shall '%s' be compared? Give OLD and NEW", argv[1]);
    struct diff_rule rule = parse_rule(reading);
    enum diff_order order = parse_order(reading->sort);
    enum format format = parse_format(&settings);
    if (format == FORMAT_TEXT && settings.output)
        fail_usage("diff", "diff: -o is for --format html, json, csv or folded");
    if (settings.of)
        find_cost(settings.of);
    if (format == FORMAT_FOLDED || format == FORMAT_HTML)
        rule = (struct diff_rule){.by_stack = format == FORMAT_FOLDED, .by = ATTRIBUTE_LINE};
    if (format == FORMAT_HTML)
        viewer_page_require();
    reading_thresholds_validate(reading, thresholds, THRESHOLD_COUNT);
    for (int side = 0; side < 2; side++) {
        diff_side_parse(&sides[side], reading, argv[1 + side]);
        diff_side_open(&sides[side], rule.by_stack && !reading->all_frames && format != FORMAT_JSON);
    }
    reading->trace = sides[1].path;
    reading->directory = sides[1].reading.directory;
    diff_rows_load(sides, rule, choose_cost(&settings, sides), order, format == FORMAT_TEXT && !reading->all_frames, &rows);
    fill_thresholds(&rows);
    int status = write_output(&settings, format, sides, &rows);
    diff_rows_free(&rows);
    diff_side_close(&sides[0]);
    diff_side_close(&sides[1]);
    return status;
}

const struct command diff_command = {
    .name = "diff",
    .question = "what grew and what shrank between two traces?",
    .usage = "[OPTIONS] OLD[@MOMENT] NEW[@MOMENT]",
    .description = "Compares two runs of a program, two snapshots of a process, or two moments of one trace, row by row. Rows that grew by more than "
                   "chance explains come first: the noise of a row is put together from how its level fluctuates within the runs, how the counts of "
                   "all rows scatter between them and, of samples, the estimates' standard errors (docs/diff.md).\n"
                   "Lines of a source that was edited in between, and files in another checkout or environment, are matched. A moment is 10s, 1h30m, "
                   "50%, start, peak, exit (before a program that ended freed what it held) or end: what was live then, known to a 32nd of the run.",
    .examples = "heapline diff before.heapline after.heapline\n"
                "heapline diff --of live --by stack monday.heapline tuesday.heapline\n"
                "heapline diff service.heapline@25% service.heapline@end\n"
                "heapline diff --format html -o difference.html before.heapline after.heapline\n"
                "heapline diff --fail-on 10% --fail-on line=5M base.heapline change.heapline   # in CI\n"
                "heapline diff --format folded base.heapline change.heapline | flamegraph.pl > red-blue.svg",
    .statuses = READING_STATUSES_FAIL,
    .options = {diff_options, fold_options, reading_options},
    .run = run_diff,
};
