/* The export 'flamegraph': one SVG file, callers above what they call, frames as wide as what was allocated through them. It zooms and searches
 * by the script that it holds (flamegraph.js), and needs no other file; without a script it is a picture.
 *
 * Frames narrower than a share of the whole are left out, so that a trace of any size gives a file that a browser opens; the picture says so. */
#include <stdlib.h>
#include <string.h>

#include "call_tree.h"
#include "cost.h"
#include "export.h"
#include "flamegraph_script.h"
#include "memory.h"
#include "paths.h"
#include "text.h"
#include "units.h"

#define WIDTH 1200
#define PAD 10
#define ROW_HEIGHT 18
#define CHARACTER_WIDTH 6.7 /* of the monospace font at 11 px */
#define MIN_SHARE 0.0002
#define NOTE_COLUMNS 165

static const char style[] =
    "svg{background:#fff}\n"
    "text{font:11px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1a1a1a}\n"
    ".page{font-family:'DejaVu Sans',Helvetica,Arial,sans-serif;font-size:12px}\n"
    ".title{font-size:17px;font-weight:bold}\n"
    ".note{fill:#8a4b00}\n"
    ".f{cursor:pointer}\n"
    ".f rect{stroke:#fff;stroke-width:.5}\n"
    ".f text{pointer-events:none}\n"
    ".f:hover rect{stroke:#000;stroke-width:1}\n"
    ".user{fill:#f2a541}.library{fill:#f8d69b}.native{fill:#6fa8dc}.system{fill:#b4cde4}.other{fill:#d0d0d0}\n"
    ".f text{fill:#1a1a1a}\n"
    ".searching .f:not(.match) rect{fill-opacity:.3}\n"
    ".match rect{stroke:#b00020;stroke-width:1.5}\n"
    "input{width:240px;box-sizing:border-box;font:12px 'DejaVu Sans',Helvetica,Arial,sans-serif;padding:3px}\n"
    "@media (prefers-color-scheme:dark){svg{background:#1c1c1f}.page{fill:#e6e6e6}.note{fill:#f0b26b}.f rect{stroke:#1c1c1f}"
    ".f:hover rect{stroke:#fff}}\n";

struct flamegraph {
    FILE *out;
    const struct call_tree *tree;
    const struct cost *cost;
    int64_t total;
    int top;            /* y of the first row */
    int64_t left_out;   /* frames too narrow */
};

/* ---- text ---- */

static void write_xml(FILE *out, const char *text)
{
    char *clean = text_clean(text, 1);
    for (const char *at = clean; *at; at++)
        switch (*at) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            putc(*at, out);
        }
    free(clean);
}

static struct unit_text amount_text(enum measure measure, int64_t amount)
{
    return measures[measure].is_bytes ? units_bytes(amount) : units_count(amount);
}

static int is_imports(const struct flamegraph *flamegraph, uint32_t node)
{
    return flamegraph->tree->nodes[node].key == flamegraph->tree->keys[0];
}

/* 'function (file.py:12)', malloc'ed. */
static char *frame_name(const struct flamegraph *flamegraph, uint32_t node)
{
    const struct set_frame *frame = &flamegraph->tree->set.frames[flamegraph->tree->nodes[node].frame];
    const char *function = frame->function ? frame->function : "?";
    if (!node)
        return memory_copy("all");
    if (is_imports(flamegraph, node))
        return memory_copy("(imports)");
    if (frame->file && frame->line > 0)
        return memory_format("%s (%s:%lld)", function, paths_base(frame->file), (long long)frame->line);
    if (frame->file || frame->module)
        return memory_format("%s (%s)", function, paths_base(frame->file ? frame->file : frame->module));
    return memory_copy(function);
}

static const char *class_of(const struct flamegraph *flamegraph, uint32_t node)
{
    const struct set_frame *frame = &flamegraph->tree->set.frames[flamegraph->tree->nodes[node].frame];
    const char *origin = frame->origin ? frame->origin : "";
    if (!node || is_imports(flamegraph, node) || !frame->kind || (!frame->file && !frame->module))
        return "other";
    if (!strcmp(frame->kind, "python"))
        return strcmp(origin, "user") ? "library" : "user";
    return strcmp(origin, "system") ? "native" : "system";
}

/* ---- frames ---- */

static void write_label(const struct flamegraph *flamegraph, const char *name, double x, int y, double width)
{
    int columns = (int)((width - 6) / CHARACTER_WIDTH);
    if (columns < 3)
        return;
    char *clean = memory_new(strlen(name) + 8, 1); /* and the ellipsis */
    strcpy(clean, name);
    text_clip(clean, columns, TEXT_CLIP_END, "…");
    fprintf(flamegraph->out, "<text x=\"%.1f\" y=\"%d\">", x + 3, y + 13);
    write_xml(flamegraph->out, clean);
    fputs("</text>", flamegraph->out);
    free(clean);
}

/* Its name, where it is, and what it holds. */
static void write_title(const struct flamegraph *flamegraph, uint32_t number, const char *name)
{
    const struct tree_node *node = &flamegraph->tree->nodes[number];
    const struct set_frame *frame = &flamegraph->tree->set.frames[node->frame];
    const char *place = frame->file ? frame->file : frame->module;
    fputs("<title>", flamegraph->out);
    write_xml(flamegraph->out, name);
    putc('\n', flamegraph->out);
    if (place && !is_imports(flamegraph, number))
        write_xml(flamegraph->out, place);
    fprintf(flamegraph->out, "\n%s, ", amount_text(flamegraph->cost->amount, node->amount).text);
    write_xml(flamegraph->out, units_share((double)node->amount, (double)flamegraph->total).text); /* "<0.1 %" */
    fputs(" of the total", flamegraph->out);
    if (measures[flamegraph->cost->amount].is_bytes)
        fprintf(flamegraph->out, "\nin %s", units_noun(node->count, flamegraph->cost->count == COPIES ? "copy" : "allocation").text);
    if (node->self_amount && node->self_amount != node->amount)
        fprintf(flamegraph->out, "\n%s of it itself", amount_text(flamegraph->cost->amount, node->self_amount).text);
    fputs("</title>", flamegraph->out);
}

static void write_frame(const struct flamegraph *flamegraph, uint32_t number, int64_t start, int depth)
{
    int64_t amount = flamegraph->tree->nodes[number].amount;
    double scale = (WIDTH - 2.0 * PAD) / (double)flamegraph->total, x = PAD + (double)start * scale, width = (double)amount * scale - 0.5;
    int y = flamegraph->top + depth * ROW_HEIGHT;
    char *name = frame_name(flamegraph, number);
    width = width < 0.5 ? 0.5 : width;
    fprintf(flamegraph->out, "<g class=\"f %s\" data-a=\"%lld\" data-n=\"%lld\">", class_of(flamegraph, number), (long long)start,
            (long long)amount);
    write_title(flamegraph, number, name);
    fprintf(flamegraph->out, "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", x, y, width, ROW_HEIGHT - 1);
    write_label(flamegraph, name, x, y, width);
    fputs("</g>\n", flamegraph->out);
    free(name);
}

static int is_wide(const struct flamegraph *flamegraph, uint32_t node)
{
    return (double)flamegraph->tree->nodes[node].amount >= MIN_SHARE * (double)flamegraph->total && flamegraph->tree->nodes[node].amount > 0;
}

struct open_node {
    uint32_t child; /* the next one to be written */
    int64_t start;  /* where it begins */
};

/* Parents before their children, without recursion: stacks can be thousands of frames deep. Returns how many rows there are. `is_measured`: only
 * count rows, and what is left out. */
static int walk_frames(struct flamegraph *flamegraph, int is_measured)
{
    struct open_node *open = memory_new((size_t)flamegraph->tree->node_count + 1, sizeof *open);
    int depth = 0, rows = 1;
    if (!is_measured)
        write_frame(flamegraph, 0, 0, 0);
    open[0].child = flamegraph->tree->nodes[0].first_child;
    while (depth >= 0) {
        uint32_t child = open[depth].child;
        if (!child) {
            depth--;
            continue;
        }
        int64_t start = open[depth].start;
        open[depth].child = flamegraph->tree->nodes[child].next_sibling;
        open[depth].start += flamegraph->tree->nodes[child].amount;
        if (!is_wide(flamegraph, child)) {
            flamegraph->left_out += is_measured && flamegraph->tree->nodes[child].amount > 0;
            continue;
        }
        depth++;
        open[depth] = (struct open_node){flamegraph->tree->nodes[child].first_child, start};
        rows = depth + 1 > rows ? depth + 1 : rows;
        if (!is_measured)
            write_frame(flamegraph, child, start, depth);
    }
    free(open);
    return rows;
}

/* ---- the page ---- */

struct page {
    char *text; /* lines above the graph */
    int line_count;
};

/* Notes as lines that fit. */
static struct page make_notes(const struct export *export, const struct flamegraph *flamegraph)
{
    struct page page = {0};
    size_t bytes;
    FILE *out = memory_stream(&page.text, &bytes);
    char *notes[EXPORT_MAX_NOTES];
    int count = export_notes(export, notes);
    for (int i = 0; i < count; i++) {
        terminal_wrap(out, notes[i], NOTE_COLUMNS, 0);
        putc('\n', out);
        free(notes[i]);
    }
    if (flamegraph->left_out)
        fprintf(out, "%s narrower than 0.02 %% of the whole left out, with what they called.\n", units_noun(flamegraph->left_out, "frame").text);
    fclose(out);
    for (const char *at = page.text; *at; at++)
        page.line_count += *at == '\n';
    return page;
}

static void write_line(FILE *out, const char *classes, int y, const char *text, int length)
{
    char *line = memory_copy_part(text, (size_t)length);
    fprintf(out, "<text class=\"page %s\" x=\"%d\" y=\"%d\">", classes, PAD, y);
    write_xml(out, line);
    fputs("</text>\n", out);
    free(line);
}

static void write_heading(const struct export *export, const struct flamegraph *flamegraph)
{
    const struct summary *summary = &export->summary;
    const char *what = flamegraph->cost->amount == PEAK_BYTES ? "Heap at its peak" : flamegraph->cost->amount == LIVE_BYTES ? "Heap at the end" :
                       flamegraph->cost->amount == COPIED_BYTES ? "Bytes copied" : flamegraph->cost->amount == ALLOCATED_BYTES ? "Bytes allocated" :
                       "Temporary allocations";
    char *clipped = memory_copy(summary_command(summary));
    clipped = memory_resize(clipped, strlen(clipped) + 8, 1); /* and the ellipsis */
    text_clip(clipped, 110, TEXT_CLIP_END, "…");
    char *title = memory_format("%s: %s%s", what, amount_text(flamegraph->cost->amount, flamegraph->tree->total_amount).text,
                                export->summary.sampling_interval_bytes ? " (estimated from a sample)" : "");
    write_line(flamegraph->out, "title", 26, title, (int)strlen(title));
    char *line = measures[flamegraph->cost->amount].is_bytes
        ? memory_format("%s · pid %lld · in %s", clipped, (long long)summary->pid,
                        units_noun(flamegraph->tree->total_count, flamegraph->cost->count == COPIES ? "copy" : "allocation").text)
        : memory_format("%s · pid %lld", clipped, (long long)summary->pid);
    write_line(flamegraph->out, "", 46, line, (int)strlen(line));
    free(title);
    free(line);
    free(clipped);
}

static void write_legend(FILE *out, int y)
{
    static const char *const kinds[][2] = {{"user", "your Python"}, {"library", "Python libraries"}, {"native", "native"},
                                           {"system", "native, system"}, {"other", "other"}};
    int x = PAD;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"11\" height=\"11\"/><text class=\"page\" x=\"%d\" y=\"%d\">%s</text>\n", kinds[i][0],
                x, y - 10, x + 16, y, kinds[i][1]);
        x += 36 + 7 * (int)strlen(kinds[i][1]);
    }
}

static void write_page(const struct export *export, struct flamegraph *flamegraph)
{
    int rows = walk_frames(flamegraph, 1);
    struct page notes = make_notes(export, flamegraph);
    FILE *out = flamegraph->out;
    flamegraph->top = 98 + 16 * notes.line_count;
    int height = flamegraph->top + rows * ROW_HEIGHT + PAD;
    fprintf(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" data-unit=\"%s\" data-total=\"%lld\">\n"
                 "<style>\n%s</style>\n",
            WIDTH, height, WIDTH, height, measures[flamegraph->cost->amount].is_bytes ? "bytes" : "count", (long long)flamegraph->total, style);
    write_heading(export, flamegraph);
    write_legend(out, 66);
    int y = 66;
    for (const char *at = notes.text; *at; at += strcspn(at, "\n") + 1)
        write_line(out, "note", y += 16, at, (int)strcspn(at, "\n"));
    fprintf(out, "<text class=\"page\" id=\"details\" x=\"%d\" y=\"%d\">Click a frame to zoom, the top one to go back.</text>\n", PAD, flamegraph->top - 10);
    fprintf(out, "<text class=\"page\" id=\"matched\" x=\"%d\" y=\"46\" text-anchor=\"end\"></text>\n", WIDTH - PAD);
    walk_frames(flamegraph, 0);
    fprintf(out, "<script><![CDATA[\n%s]]></script>\n</svg>\n", flamegraph_js);
    free(notes.text);
}

void export_flamegraph(const struct export *export)
{
    const struct cost *cost = export->cost;
    struct tree_query query = {.amount = cost->amount, .count = cost->count, .by = SET_BY_LINE, .folds = export->is_folded};
    struct call_tree tree;
    call_tree_build(export->database, &query, &tree);
    for (uint32_t i = 0; i < tree.node_count; i++)
        call_tree_expand(&tree, i);
    struct flamegraph flamegraph = {.out = export->out, .tree = &tree, .cost = cost, .total = tree.total_amount > 0 ? tree.total_amount : 1};
    write_page(export, &flamegraph);
    call_tree_free(&tree);
}
