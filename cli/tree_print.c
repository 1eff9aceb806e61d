/* A call tree as text (tree_view.h). A row is indented only where the tree branches; what follows in a straight line stands below its
 * parent, without figures while they are the same. */
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "paths.h"
#include "text.h"
#include "tree_view.h"
#include "units.h"

#define RUN_SHOWN 3    /* of a long straight line with the same figures: so many at its beginning, and at its end */
#define RUN_FOLDED 3   /* not worth less */
#define INDENT_COLUMNS 3
#define FIGURE_FORMAT "%10s  %6s  %7s  "
#define FIGURE_COLUMNS 29
#define INTERVAL_FORMAT "%16s  " /* behind them, of the count of a sample, where there is room */
#define INTERVAL_COLUMNS 18
#define WIDTH_FOR_INTERVALS 90

struct printer {
    const struct tree_view *view;
    const struct terminal *terminal;
    char *indent;          /* what is left of the row's text */
    size_t indent_bytes, indent_capacity;
    int indent_columns;
    int has_intervals;
    int figure_columns;
};

enum branch { BRANCH_NONE, BRANCH_MORE, BRANCH_LAST };

static struct unit_text amount_text(enum measure measure, int64_t amount)
{
    return measures[measure].is_bytes ? units_bytes(amount) : units_count(amount);
}

static const char *branch_glyphs(const struct printer *printer, enum branch branch)
{
    if (branch == BRANCH_NONE)
        return "";
    if (!printer->terminal->unicode)
        return branch == BRANCH_MORE ? "|- " : "`- ";
    return branch == BRANCH_MORE ? "├─ " : "└─ ";
}

static size_t indent_begin(struct printer *printer, enum branch branch)
{
    const char *glyphs = branch == BRANCH_MORE ? (printer->terminal->unicode ? "│  " : "|  ") : branch == BRANCH_LAST ? "   " : "";
    size_t before = printer->indent_bytes, length = strlen(glyphs);
    if (before + length + 1 > printer->indent_capacity) {
        printer->indent_capacity = 2 * (before + length + 1);
        printer->indent = memory_resize(printer->indent, printer->indent_capacity, 1);
    }
    memcpy(printer->indent + before, glyphs, length + 1);
    printer->indent_bytes += length;
    printer->indent_columns += branch == BRANCH_NONE ? 0 : INDENT_COLUMNS;
    return before;
}

static void indent_end(struct printer *printer, size_t before, enum branch branch)
{
    printer->indent_bytes = before;
    printer->indent[before] = '\0';
    printer->indent_columns -= branch == BRANCH_NONE ? 0 : INDENT_COLUMNS;
}

/* ---- rows ---- */

static void print_figures(const struct printer *printer, int64_t amount, int64_t count, const struct tree_error *error)
{
    struct estimate_interval interval;
    const struct tree_query *query = printer->view->query;
    fprintf(printer->terminal->out, FIGURE_FORMAT, amount_text(query->amount, amount).text,
            units_share((double)amount, (double)printer->view->tree->total_amount).text,
            count ? amount_text(query->count, count).text : terminal_dot(printer->terminal));
    if (!printer->has_intervals)
        return;
    int is_shown = count && tree_view_count_interval(printer->view, count, error, &interval);
    terminal_print(printer->terminal, STYLE_DIM, INTERVAL_FORMAT, is_shown ? estimate_count_text(interval).text : "");
}

static void print_indent(const struct printer *printer, enum branch branch)
{
    terminal_print(printer->terminal, STYLE_DIM, "%s%s", printer->indent, branch_glyphs(printer, branch));
}

/* A row that is no frame. */
static void print_remark(const struct printer *printer, enum branch branch, const char *text)
{
    print_indent(printer, branch);
    terminal_print(printer->terminal, STYLE_DIM, "%s\n", text);
}

/* Where, after the function's name; malloc'ed, "" where there is nothing to say. */
static char *place_of(const struct printer *printer, const struct set_frame *frame)
{
    enum set_key by = printer->view->query->by;
    if (frame->kind && !strcmp(frame->kind, "tag"))
        return memory_copy("tag");
    if (by == SET_BY_MODULE || (!frame->file && !frame->module))
        return memory_copy("");
    if (frame->file && by == SET_BY_LINE)
        return line_place(printer->view->reading, frame->file, frame->line, NULL);
    return paths_module(frame->file ? frame->file : frame->module, terminal_ellipsis(&printer->view->reading->terminal));
}

static char *name_of(const struct printer *printer, const struct tree_node *node)
{
    const struct set_frame *frame = &printer->view->tree->set.frames[node->frame];
    const char *name = frame->function ? frame->function : "(unknown)";
    if (node->key == printer->view->tree->keys[0])
        name = "(imports)";
    else if (frame->kind && !strcmp(frame->kind, "cut"))
        name = "(the frames from here outward are unknown)";
    else if (printer->view->query->by == SET_BY_MODULE && (frame->module || frame->file))
        return paths_module(frame->module ? frame->module : frame->file, terminal_ellipsis(&printer->view->reading->terminal));
    return memory_copy(name);
}

/* Name and place share what room there is: the place is clipped last, and at its beginning. An ellipsis: it goes on, in smaller parts. */
static void print_place(const struct printer *printer, enum branch branch, const struct tree_node *node, int goes_on)
{
    const struct terminal *terminal = printer->terminal;
    const char *more = !goes_on ? "" : terminal->unicode ? " …" : " ..";
    int room = terminal->width - printer->figure_columns - printer->indent_columns - (branch ? INDENT_COLUMNS : 0) - text_width(more);
    room = room < 24 ? 24 : room;
    char *raw_name = name_of(printer, node), *name = text_clean(raw_name, terminal->unicode);
    int has_place = node->key != printer->view->tree->keys[0];
    char *raw_place = has_place ? place_of(printer, &printer->view->tree->set.frames[node->frame]) : memory_copy("");
    char *place = text_clean(raw_place, terminal->unicode);
    text_clip(place, room / 2, TEXT_CLIP_START, terminal_ellipsis(terminal));
    text_clip(name, room - (*place ? text_width(place) + 2 : 0), TEXT_CLIP_END, terminal_ellipsis(terminal));
    fputs(name, terminal->out);
    if (*place) {
        fputs("  ", terminal->out);
        terminal_print(terminal, STYLE_PLACE, "%s", place);
    }
    fputs(more, terminal->out);
    fputc('\n', terminal->out);
    free(place);
    free(raw_place);
    free(name);
    free(raw_name);
}

static void print_node(const struct printer *printer, enum branch branch, uint32_t number, int with_figures)
{
    const struct tree_node *node = &printer->view->tree->nodes[number];
    if (with_figures)
        print_figures(printer, node->amount, node->count, &node->error);
    else
        fprintf(printer->terminal->out, "%*s", printer->figure_columns, "");
    print_indent(printer, branch);
    print_place(printer, branch, node, node->first_child && !tree_view_child(printer->view, number));
}

/* ---- below a node ---- */

/* What isn't shown of what a node's children have, and the node itself. */
struct rest {
    int64_t amount, count, places;
    struct tree_error error;
    int shows_self, shows_places;
};

static int is_worth_a_row(const struct tree_view *view, int64_t amount)
{
    double least = view->threshold > 0.001 ? view->threshold : 0.001;
    return (double)amount >= least * (double)view->tree->total_amount && amount > 0;
}

static struct rest rest_of(const struct tree_view *view, uint32_t number)
{
    const struct tree_node *node = &view->tree->nodes[number];
    struct rest rest = {0};
    for (uint32_t child = node->first_child; child; child = view->tree->nodes[child].next_sibling) {
        if (view->shown[child])
            continue;
        rest.amount += view->tree->nodes[child].amount;
        rest.count += view->tree->nodes[child].count;
        tree_error_add(&rest.error, &view->tree->nodes[child].error);
        rest.places += view->tree->nodes[child].amount > 0;
    }
    int has_rows = !number || tree_view_child(view, number);
    rest.shows_places = has_rows && is_worth_a_row(view, rest.amount);
    rest.shows_self = number && has_rows && is_worth_a_row(view, node->self_amount);
    return rest;
}

static uint32_t only_child(const struct tree_view *view, uint32_t number, const struct rest *rest)
{
    uint32_t child = tree_view_child(view, number);
    return child && !rest->shows_places && !rest->shows_self && !tree_view_sibling(view, child) ? child : 0;
}

static void print_rest(const struct printer *printer, uint32_t number, const struct rest *rest, enum branch branch)
{
    const struct tree_node *node = &printer->view->tree->nodes[number];
    char text[80];
    if (rest->shows_places) {
        print_figures(printer, rest->amount, rest->count, &rest->error);
        snprintf(text, sizeof text, "in %s", units_noun(rest->places, "smaller place").text);
        print_remark(printer, branch == BRANCH_NONE || !rest->shows_self ? branch : BRANCH_MORE, text);
    }
    if (rest->shows_self) {
        print_figures(printer, node->self_amount, node->self_count, &node->self_error);
        print_remark(printer, branch, "itself");
    }
}

/* As they are printed. */
static int has_same_figures(const struct tree_view *view, uint32_t a, uint32_t b)
{
    const struct tree_node *left = &view->tree->nodes[a], *right = &view->tree->nodes[b];
    return !strcmp(amount_text(view->query->amount, left->amount).text, amount_text(view->query->amount, right->amount).text);
}

/* How far the tree goes on from here in a straight line with the same figures. */
static int64_t run_length(const struct tree_view *view, uint32_t number)
{
    int64_t length = 0;
    for (;; length++) {
        struct rest rest = rest_of(view, number);
        uint32_t child = only_child(view, number, &rest);
        if (!child || !has_same_figures(view, child, number))
            return length;
        number = child;
    }
}

/* Follows a straight line from a node that is printed already; returns its last node. */
static uint32_t print_line(const struct printer *printer, uint32_t number)
{
    const struct tree_view *view = printer->view;
    for (;;) {
        struct rest rest = rest_of(view, number);
        uint32_t child = only_child(view, number, &rest);
        if (!child)
            return number;
        int64_t length = run_length(view, number);
        int folds = !view->reading->all_frames && length >= 2 * RUN_SHOWN + RUN_FOLDED;
        if (!length)
            print_node(printer, BRANCH_NONE, child, 1);
        for (int64_t i = 0; i < length; i++) {
            if (i)
                child = tree_view_child(view, number);
            if (folds && i == RUN_SHOWN) {
                char text[64];
                fprintf(printer->terminal->out, "%*s", printer->figure_columns, "");
                snprintf(text, sizeof text, "%s %lld frames %s", terminal_ellipsis(printer->terminal), (long long)(length - 2 * RUN_SHOWN),
                         terminal_ellipsis(printer->terminal));
                print_remark(printer, BRANCH_NONE, text);
            }
            if (!folds || i < RUN_SHOWN || i >= length - RUN_SHOWN)
                print_node(printer, BRANCH_NONE, child, 0);
            number = child;
        }
        number = child;
    }
}

static void print_children(struct printer *printer, uint32_t number)
{
    const struct tree_view *view = printer->view;
    struct rest rest = rest_of(view, number);
    for (uint32_t child = tree_view_child(view, number), next; child; child = next) {
        next = tree_view_sibling(view, child);
        enum branch branch = !number ? BRANCH_NONE : next || rest.shows_places || rest.shows_self ? BRANCH_MORE : BRANCH_LAST;
        print_node(printer, branch, child, 1);
        size_t before = indent_begin(printer, branch);
        print_children(printer, print_line(printer, child));
        indent_end(printer, before, branch);
    }
    print_rest(printer, number, &rest, number ? BRANCH_LAST : BRANCH_NONE);
}

void tree_view_print(const struct tree_view *view)
{
    struct printer printer = {.view = view, .terminal = &view->reading->terminal};
    char heads[2][32];
    const enum measure shown[2] = {view->query->amount, view->query->count};
    for (int i = 0; i < 2; i++)
        snprintf(heads[i], sizeof heads[i], "%s", measures[shown[i]].is_bytes ? "bytes" : measures[shown[i]].title);
    printer.has_intervals = view->tree->knows_errors && printer.terminal->width >= WIDTH_FOR_INTERVALS;
    printer.figure_columns = FIGURE_COLUMNS + (printer.has_intervals ? INTERVAL_COLUMNS : 0);
    indent_begin(&printer, BRANCH_NONE);
    terminal_print(printer.terminal, STYLE_DIM, FIGURE_FORMAT, heads[0], "share", heads[1]);
    if (printer.has_intervals)
        terminal_print(printer.terminal, STYLE_DIM, INTERVAL_FORMAT, "95 %");
    terminal_print(printer.terminal, STYLE_DIM, "%s\n", view->tree->bottom_up ? "frame, then its callers" : "frame, then what it called");
    print_children(&printer, 0);
    free(printer.indent);
}
