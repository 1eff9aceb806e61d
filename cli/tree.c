/* heapline tree: stacks as a tree, callers first or innermost frame first; callers and callees of a function. */
#include <stdlib.h>
#include <string.h>

#include "attribution.h"
#include "cost.h"
#include "summary.h"
#include "tree_view.h"
#include "units.h"

#define NODES_SHOWN 25
#define PERCENT_SHOWN 1.0

struct tree_settings {
    struct reading reading;
    int bottom_up;
    const char *callers, *callees, *cost, *threshold;
};

static const struct option_spec tree_options[] = {
    {"bottom-up", 'u', OPTION_SET, offsetof(struct tree_settings, bottom_up), 1, NULL,
     "begin with the innermost frames, their callers below them; without it, callers come first"},
    {"callees", 0, OPTION_TEXT, offsetof(struct tree_settings, callees), 0, "FUNCTION", "only what FUNCTION did, and what it called"},
    {"callers", 0, OPTION_TEXT, offsetof(struct tree_settings, callers), 0, "FUNCTION",
     "who called FUNCTION, for all that was allocated in it and below it"},
    {"cost", 'c', OPTION_TEXT, offsetof(struct tree_settings, cost), 0, "WHAT",
     "peak (default), live (at the end: leaked), allocated, temporary or copied"},
    {"threshold", 't', OPTION_TEXT, offsetof(struct tree_settings, threshold), 0, "PERCENT",
     "leave out what has a smaller share of the total; default: 1, with --json 0"},
    {"by", 'b', OPTION_TEXT, offsetof(struct tree_settings, reading.by), 0, "WHAT",
     "what makes frames the same: line (default), function or module"},
    {"limit", 'n', OPTION_COUNT, offsetof(struct tree_settings, reading.limit), 0, "N",
     "show the N largest branches, 25 unless told; 0: all (the default with --json)"},
    {0},
};

static enum set_key parse_by(const struct tree_settings *settings)
{
    const char *by = settings->reading.by;
    if (!by || !strcmp(by, "line"))
        return SET_BY_LINE;
    if (!strcmp(by, "function"))
        return SET_BY_FUNCTION;
    if (!strcmp(by, "module"))
        return SET_BY_MODULE;
    fail_usage("tree", "tree: --by is line, function or module, not '%s'", by);
}

static double parse_threshold(const struct tree_settings *settings)
{
    if (!settings->threshold)
        return settings->reading.json ? 0 : PERCENT_SHOWN / 100;
    char *end;
    double percent = strtod(settings->threshold, &end);
    if (end == settings->threshold || (*end && strcmp(end, "%")) || !(percent >= 0 && percent <= 100))
        fail_usage("tree", "tree: --threshold wants percents from 0 to 100, not '%s'", settings->threshold);
    return percent / 100;
}

static const char *order_name(const struct tree_view *view)
{
    return view->tree->bottom_up ? "bottom-up" : "top-down";
}

static void write_tree(const struct tree_settings *settings, const struct tree_view *view, const struct cost *cost)
{
    struct json json;
    json_begin(&json, stdout, "tree");
    json_text(&json, "order", order_name(view));
    json_text(&json, "cost", cost->name);
    json_text(&json, "by", settings->reading.by ? settings->reading.by : "line");
    json_text(&json, "callers_of", settings->callers);
    json_text(&json, "callees_of", settings->callees);
    json_integer(&json, measures[cost->amount].name, view->tree->total_amount);
    json_integer(&json, measures[cost->count].name, view->tree->total_count);
    tree_view_intervals_json(view, view->tree->total_amount, view->tree->total_count, &view->tree->total_error, &json);
    tree_view_json(view, &json);
    json_integer(&json, "left_out", view->left_out);
    reading_json_end(&json);
}

static struct unit_text total_text(enum measure measure, int64_t amount)
{
    return measures[measure].is_bytes ? units_bytes(amount) : units_count(amount);
}

static void print_headline(const struct tree_settings *settings, const struct tree_view *view, const struct cost *cost)
{
    const struct terminal *terminal = &settings->reading.terminal;
    const struct call_tree *tree = view->tree;
    const char *order = tree->bottom_up ? "innermost frames first, callers below them" : "callers first";
    fputc('\n', terminal->out);
    terminal_print(terminal, STYLE_BOLD, "%s", total_text(cost->amount, tree->total_amount).text);
    if (view->query->function)
        fprintf(terminal->out, " %s, %s of it in %s; %s.\n\n", cost->text,
                units_share((double)tree->nodes[0].amount, (double)tree->total_amount).text, view->query->function,
                settings->callers ? "who called it" : "what it called");
    else
        fprintf(terminal->out, " %s; %s.\n\n", cost->text, order);
}

static const char *const next_commands[] = {
    "tree --bottom-up %s", "innermost frames first",
    "tree --callers FUNCTION %s", "who calls it",
};

static void print_tree(struct tree_settings *settings, sqlite3 *database, const struct tree_view *view, const struct cost *cost)
{
    struct reading *reading = &settings->reading;
    struct summary summary;
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    print_headline(settings, view, cost);
    tree_view_print(view);
    if (view->left_out)
        terminal_print(&reading->terminal, STYLE_DIM, "Smaller branches are left out (--threshold 0 --limit 0 shows all).\n");
    summary_free(&summary);
    reading_next(reading, next_commands + (settings->bottom_up ? 2 : 0), settings->bottom_up ? 1 : 2);
}

static int run_tree(int argc, char **argv)
{
    struct tree_settings settings = {.reading = READING_INIT};
    struct call_tree tree;
    reading_parse(&tree_command, &settings.reading, argc, argv, 1);
    const struct cost *cost = cost_parse("tree", settings.cost);
    if (settings.callers && settings.callees)
        fail_usage("tree", "tree: --callers and --callees exclude each other");
    if (settings.callees && settings.bottom_up)
        fail_usage("tree", "tree: --callees goes inward, --bottom-up outward");
    struct tree_query query = {
        .amount = cost->amount,
        .count = cost->count,
        .by = parse_by(&settings),
        .bottom_up = settings.bottom_up || settings.callers,
        .function = settings.callers ? settings.callers : settings.callees,
        .folds = !settings.reading.json && !settings.reading.all_frames,
    };
    struct tree_view view = {
        .reading = &settings.reading, .tree = &tree, .query = &query, .threshold = parse_threshold(&settings),
        .limit = reading_limit(&settings.reading, NODES_SHOWN),
    };
    sqlite3 *database = reading_open(&settings.reading);
    call_tree_build(database, &query, &tree);
    tree_view_select(&view);
    if (query.function && !tree.nodes[0].first_child && !tree.nodes[0].amount)
        warn("no stack with such a cost goes through '%s'", query.function);
    if (settings.reading.json)
        write_tree(&settings, &view, cost);
    else
        print_tree(&settings, database, &view, cost);
    tree_view_free(&view);
    call_tree_free(&tree);
    reading_close(&settings.reading, database);
    return CLI_DONE;
}

const struct command tree_command = {
    .name = "tree",
    .question = "by which calls? top-down, bottom-up, callers and callees",
    .usage = "[OPTIONS] TRACE",
    .description = "Merges stacks into a tree: from main inward, or from the allocating frames outward (--bottom-up). Each row counts for all that "
                   "is below it. Rows are indented where the tree branches; a row without figures has those of the row above it.\n"
                   "FUNCTION is a name without its parameters, with or without its class or namespace; file.c:LINE; or a pattern with '*'. "
                   "Where it recurses, its outermost call counts.",
    .examples = "heapline tree app.heapline\n"
                "heapline tree --bottom-up --cost live app.heapline         # what leaked, and who called that\n"
                "heapline tree --callers parse --by function app.heapline\n"
                "heapline tree --cost temporary --threshold 5 app.heapline",
    .statuses = READING_STATUSES,
    .options = {tree_options, fold_options, reading_options},
    .run = run_tree,
};
