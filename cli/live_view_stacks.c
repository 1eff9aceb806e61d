/* The pages of heapline live behind the overview: the stacks of a line, and the help. */
#include <stdlib.h>
#include <string.h>

#include "line_rows.h"
#include "live_view_parts.h"
#include "memory.h"
#include "screen.h"
#include "units.h"

#define MAX_STACKS 20
#define MAX_FRAMES 200

/* ---- the stacks of a line ---- */

/* Stacks of the same frames, which differ in their instructions only, are one. */
struct ranked_stack {
    uint64_t value, hash;
    uint32_t stack_id;
    struct live_stack_sum sum;
};

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked_stack *left = a, *right = b;
    if (left->value != right->value)
        return left->value > right->value ? -1 : 1;
    return left->stack_id < right->stack_id ? -1 : left->stack_id > right->stack_id;
}

static uint64_t hash_frames(const struct line_report *lines, uint32_t stack_id)
{
    uint64_t hash = 0;
    while (stack_id) {
        struct stack_entry entry = line_report_stack(lines, stack_id);
        hash = (hash ^ entry.frame_id) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
        stack_id = entry.caller_id;
    }
    return hash;
}

static int compare_hashes(const void *a, const void *b)
{
    const struct ranked_stack *left = a, *right = b;
    return left->hash < right->hash ? -1 : left->hash > right->hash;
}

static size_t merge(struct ranked_stack *ranked, size_t count)
{
    size_t kept = 0;
    if (count)
        qsort(ranked, count, sizeof *ranked, compare_hashes);
    for (size_t i = 0; i < count; i++) {
        if (!kept || ranked[kept - 1].hash != ranked[i].hash) {
            ranked[kept++] = ranked[i];
            continue;
        }
        ranked[kept - 1].value += ranked[i].value;
        ranked[kept - 1].sum.live_bytes += ranked[i].sum.live_bytes;
        ranked[kept - 1].sum.live_allocations += ranked[i].sum.live_allocations;
        ranked[kept - 1].sum.allocated_bytes += ranked[i].sum.allocated_bytes;
    }
    return kept;
}

size_t live_view_stacks(const struct live_view *view, const struct live_row *row, size_t limit, struct live_stack_sum **ret_stacks)
{
    const struct live_model *model = view->model;
    const struct stack_uses *uses = &model->replay->uses;
    struct ranked_stack *ranked = NULL;
    size_t count = 0, capacity = 0;
    for (uint32_t id = 0; id < model->lines.stack_count; id++) {
        const struct stack_use *use = &uses->uses[uses->ids[id]];
        if (!uses->ids[id] || !live_row_has_stack(model, row, id))
            continue;
        if (count == capacity) {
            capacity = 2 * capacity + 64;
            ranked = memory_resize(ranked, capacity, sizeof *ranked);
        }
        ranked[count++] = (struct ranked_stack){
            .value = view->sort == LIVE_BY_RATE ? use->allocated_bytes : use->live_bytes,
            .hash = hash_frames(&model->lines, id),
            .stack_id = id,
            .sum = {id, use->live_bytes, use->live_allocations, use->allocated_bytes},
        };
    }
    count = merge(ranked, count);
    if (count)
        qsort(ranked, count, sizeof *ranked, compare_ranked);
    if (limit && count > limit)
        count = limit;
    struct live_stack_sum *stacks = memory_new(count + 1, sizeof *stacks);
    for (size_t i = 0; i < count; i++)
        stacks[i] = ranked[i].sum;
    free(ranked);
    *ret_stacks = stacks;
    return count;
}

/* The page is longer than the screen: only what scrolling has brought in sight is put there. */
struct page {
    struct live_view *view;
    int line_number;   /* in the page */
    int first_row, end_row, width;
};

static void put_line(struct page *page, const struct live_line *line)
{
    int row = page->first_row + page->line_number++ - page->view->scroll;
    if (row >= page->first_row && row < page->end_row)
        screen_put(row, line->text);
}

static void put_frames(struct page *page, uint32_t stack_id)
{
    const struct live_view *view = page->view;
    const struct line_report *lines = &view->model->lines;
    struct live_line line;
    for (int depth = 0; stack_id && depth < MAX_FRAMES; depth++) {
        struct stack_entry entry = line_report_stack(lines, stack_id);
        if (!entry.frame_id)
            break;
        const struct frame *frame = &lines->frames->frames[entry.frame_id];
        char *place = line_place(view->reading, frame->file ? frame->file : frame->module, frame->line, frame->function);
        live_line_begin(&line, &view->reading->terminal, page->width);
        live_line_format(&line, "    ");
        if (frame->file || frame->module) {
            live_line_text(&line, place, page->width / 2 - 4, TEXT_CLIP_START, page->width / 2 - 4);
            live_line_glyph(&line, " ");
        }
        live_line_text(&line, frame->function, 0, TEXT_CLIP_END, 0);
        put_line(page, &line);
        free(place);
        stack_id = entry.caller_id;
    }
}

static void put_stack(struct page *page, const struct live_row *row, const struct live_stack_sum *stack)
{
    const struct live_view *view = page->view;
    struct live_line line;
    live_line_begin(&line, &view->reading->terminal, page->width);
    put_line(page, &line);
    live_line_style(&line, STYLE_BOLD);
    live_line_format(&line, "%s live", units_bytes((int64_t)stack->live_bytes).text);
    live_line_style(&line, STYLE_PLAIN);
    live_line_format(&line, ", %s, in %s; allocated %s", units_share((double)stack->live_bytes, (double)row->live_bytes).text,
                     units_noun((int64_t)stack->live_allocations, "block").text, units_bytes((int64_t)stack->allocated_bytes).text);
    put_line(page, &line);
    put_frames(page, stack->stack_id);
}

static void put_heading(struct live_view *view, const struct live_row *row, int width)
{
    struct live_line line;
    char *place = line_place(view->reading, row->file, row->line, row->function);
    live_line_begin(&line, &view->reading->terminal, width);
    live_line_style(&line, STYLE_BOLD);
    live_line_text(&line, place, width / 2, TEXT_CLIP_START, 0);
    live_line_style(&line, STYLE_PLAIN);
    if (row->file)
        live_line_format(&line, "  %s", row->function);
    screen_put(0, line.text);
    free(place);
    live_line_begin(&line, &view->reading->terminal, width);
    live_line_format(&line, "%s in %s%s, %s%s in %s", units_bytes((int64_t)row->live_bytes).text,
                     units_noun((int64_t)row->live_allocations, "block").text,
                     live_model_interval(view->model, row->live_allocations, &row->error).text, row->growth_bytes >= 0 ? "+" : "",
                     units_bytes(row->growth_bytes).text, units_time((int64_t)view->model->growth_ns).text);
    live_line_format(&line, ", allocates %s/s%s", units_bytes((int64_t)row->bytes_per_s).text, view->is_paused ? "  PAUSED" : "");
    screen_put(1, line.text);
}

void live_view_paint_stacks(struct live_view *view, int rows, int width)
{
    const struct live_row *row = live_view_selected(view);
    struct page page = {.view = view, .first_row = 2, .end_row = rows - 1, .width = width};
    struct live_stack_sum *stacks;
    if (!row) {
        view->page = LIVE_LINES;
        return;
    }
    put_heading(view, row, width);
    size_t count = live_view_stacks(view, row, MAX_STACKS, &stacks);
    for (int pass = 0; pass < 2; pass++) {
        /* The first pass only counts, so that the scroll stays within what there is. */
        struct page counted = {.view = view, .first_row = 0, .end_row = 0, .width = width};
        struct page *to = pass ? &page : &counted;
        for (size_t i = 0; i < count; i++)
            put_stack(to, row, &stacks[i]);
        view->page_rows = page.end_row - page.first_row;
        view->row_count = to->line_number;
        int last = view->row_count - view->page_rows;
        if (view->scroll > last)
            view->scroll = last;
        if (view->scroll < 0)
            view->scroll = 0;
    }
    free(stacks);
}

/* ---- the help ---- */

void live_view_paint_help(struct live_view *view, int rows, int width)
{
    static const char *const help[] = {
        "heapline live: what a running process holds, by line",
        "",
        "  s          order by live bytes, allocation rate, growth, blocks",
        "  l a g b    the same at once: live, allocation rate, growth, blocks",
        "  /          only lines whose file or function is named like what you type",
        "  up, down   select a line (also j and k, page up and down, home)",
        "  Enter      the stacks behind the selected line; Esc goes back",
        "  t          the graph: the whole run, or the time since this view began",
        "  p, space   pause: the picture stays, the process goes on",
        "  Ctrl-L     paint all anew",
        "  q          quit; the process goes on",
        "",
        "live      bytes allocated and not freed, by the line that allocated them",
        "growth    how much more is live than a minute ago, or than when this view began",
        "alloc/s   bytes allocated in the last second, freed again or not",
        "allocs/s  how many allocations that were",
        "blocks    how many blocks are live",
    };
    for (int i = 0; i < (int)(sizeof help / sizeof *help) && i < rows - 1; i++) {
        struct live_line line;
        live_line_begin(&line, &view->reading->terminal, width);
        live_line_text(&line, help[i], 0, TEXT_CLIP_END, 0);
        screen_put(i, line.text);
    }
}
