/* Credits stacks to lines (line_report.h). The inclusive sums come from one walk over the tree of stacks: the sum of a node's
 * whole subtree goes to its line, unless a node nearer to the root has that line already. */
#include "line_report.h"

#include "array.h"

int figures_are_zero(const struct figures *figures)
{
    uint64_t any = 0;
    for (int i = 0; i < FIGURE_COUNT; i++)
        any |= figures->values[i];
    return !any;
}

static void figures_add(struct figures *sum, const struct figures *figures)
{
    for (int i = 0; i < FIGURE_COUNT; i++)
        sum->values[i] += figures->values[i];
}

struct figures line_report_stack_figures(const struct replay *replay, int64_t stack_id)
{
    const struct replay_totals *totals = &replay->totals;
    if (stack_id == STACK_ARENA_SLACK)
        return (struct figures){{[FIGURE_PEAK_BYTES] = totals->peak_slack_bytes, [FIGURE_LIVE_BYTES] = totals->live_slack_bytes}};
    if (stack_id == STACK_SMALL_COPIES)
        return (struct figures){{[FIGURE_COPIED_BYTES] = totals->small_copied_bytes, [FIGURE_COPIES] = totals->small_copies}};
    const struct stack_use *use = &replay->uses[stack_id];
    return (struct figures){{
        [FIGURE_PEAK_BYTES] = replay->peak[stack_id].bytes,
        [FIGURE_PEAK_ALLOCATIONS] = replay->peak[stack_id].allocations,
        [FIGURE_LIVE_BYTES] = use->live_bytes,
        [FIGURE_LIVE_ALLOCATIONS] = use->live_allocations,
        [FIGURE_ALLOCATED_BYTES] = use->allocated_bytes,
        [FIGURE_ALLOCATIONS] = use->allocations,
        [FIGURE_TEMPORARY_ALLOCATIONS] = use->temporary_allocations,
        [FIGURE_COPIED_BYTES] = use->copied_bytes,
        [FIGURE_COPIES] = use->copies,
    }};
}

/* ---- the tree of stacks ---- */

/* Of a stack, the innermost frame of each kind that could be credited, the best kind first; 0: none.
 * A system library's line, where its debug information is installed, comes after a line of the program: strdup allocates for
 * its caller. */
enum credit { CREDIT_PYTHON, CREDIT_NATIVE, CREDIT_SYSTEM, CREDIT_COUNT };

struct credits {
    uint32_t frames[CREDIT_COUNT];
};

static enum credit credit_of_frame(const struct frame *frame)
{
    if (frame->kind == TRACE_FRAME_PYTHON)
        return CREDIT_PYTHON;
    if (frame->kind != TRACE_FRAME_NATIVE || !frame->file)
        return CREDIT_COUNT;
    return frame->origin == FRAME_SYSTEM ? CREDIT_SYSTEM : CREDIT_NATIVE;
}

static uint32_t best_credit(const struct credits *credits, uint32_t otherwise)
{
    for (int credit = 0; credit < CREDIT_COUNT; credit++)
        if (credits->frames[credit])
            return credits->frames[credit];
    return otherwise;
}

static void fill_stack(struct line_report *report, const struct frame_table *frames, uint32_t stack_id, uint32_t caller_id,
                       struct credits *credits)
{
    struct stack_entry *entry = &report->stacks[stack_id];
    uint32_t frame_id = frames->node_frames[stack_id];
    credits[stack_id] = credits[caller_id];
    if (frame_id == FRAME_HIDDEN) {
        *entry = report->stacks[caller_id];
        return;
    }
    enum credit credit = credit_of_frame(&frames->frames[frame_id]);
    if (credit != CREDIT_COUNT)
        credits[stack_id].frames[credit] = frame_id;
    *entry = (struct stack_entry){
        .shown_id = stack_id,
        .caller_id = report->stacks[caller_id].shown_id,
        .frame_id = frame_id,
        .line_frame_id = best_credit(&credits[stack_id], frame_id),
        .depth = report->stacks[caller_id].depth + 1,
    };
}

static int build_stacks(struct line_report *report, const struct definition_table *definitions, const struct frame_table *frames)
{
    uint32_t count = definitions->node_count;
    struct credits *credits = calloc(count, sizeof *credits);
    report->stacks = calloc(count, sizeof *report->stacks);
    report->stack_count = count;
    int enough = credits && report->stacks;
    if (enough) {
        report->stacks[0].line_frame_id = frames->unknown_frame;
        for (uint32_t id = 1; id < count; id++)
            fill_stack(report, frames, id, definitions->nodes[id].caller_id, credits);
    }
    free(credits);
    return enough ? STATUS_OK : STATUS_NO_MEMORY;
}

/* ---- lines ---- */

static uint64_t hash_line(const struct line_entry *line)
{
    uint64_t hash = hash_combine(hash_number((uintptr_t)line->file), (uintptr_t)line->function);
    return hash_combine(hash, (uint64_t)(uint32_t)line->line << 8 | line->kind);
}

static int same_line(const struct line_entry *a, const struct line_entry *b)
{
    return a->file == b->file && a->function == b->function && a->line == b->line && a->kind == b->kind;
}

/* Each frame's line: frames that differ in their module only are the same line. */
static int build_lines(struct line_report *report, const struct frame_table *frames)
{
    size_t capacity = 64;
    while (capacity < (size_t)frames->frame_count * 2)
        capacity *= 2;
    uint32_t *places = malloc(capacity * sizeof *places);
    report->frame_lines = calloc(frames->frame_count, sizeof *report->frame_lines);
    report->lines = calloc(frames->frame_count, sizeof *report->lines);
    if (!places || !report->frame_lines || !report->lines) {
        free(places);
        return STATUS_NO_MEMORY;
    }
    memset(places, 0xff, capacity * sizeof *places);
    for (uint32_t id = 1; id < frames->frame_count; id++) {
        const struct frame *frame = &frames->frames[id];
        struct line_entry line = {
            .file = frame->file ? frame->file : frame->module,
            .function = frame->function,
            .line = frame->line,
            .kind = frame->kind,
            .origin = frame->origin,
        };
        size_t place = hash_line(&line) & (capacity - 1);
        while (places[place] != UINT32_MAX && !same_line(&report->lines[places[place]], &line))
            place = (place + 1) & (capacity - 1);
        if (places[place] == UINT32_MAX) {
            places[place] = report->line_count;
            report->lines[report->line_count++] = line;
        }
        report->frame_lines[id] = places[place];
    }
    free(places);
    return STATUS_OK;
}

/* `most`: by line, what its heaviest stacks have. */
static void note_heaviest(struct line_entry *line, struct figures *most, const struct figures *figures, uint32_t stack_id)
{
    for (int i = 0; i < FIGURE_COUNT; i++)
        if (figures->values[i] > most->values[i]) {
            most->values[i] = figures->values[i];
            line->heaviest_stacks[i] = stack_id;
        }
}

static int add_self(struct line_report *report, const struct replay *replay, const struct frame_table *frames)
{
    static const enum pseudo_stack pseudo_stacks[] = {STACK_ARENA_SLACK, STACK_SMALL_COPIES};
    const uint32_t pseudo_frames[] = {frames->slack_frame, frames->small_copies_frame};
    struct figures *most = calloc(report->line_count, sizeof *most);
    if (!most)
        return STATUS_NO_MEMORY;
    for (uint32_t id = 0; id < report->stack_count; id++) {
        struct figures figures = line_report_stack_figures(replay, id);
        if (figures_are_zero(&figures))
            continue;
        uint32_t line = report->frame_lines[report->stacks[id].line_frame_id];
        figures_add(&report->lines[line].self, &figures);
        note_heaviest(&report->lines[line], &most[line], &figures, id);
    }
    free(most);
    for (size_t i = 0; i < 2; i++) {
        struct line_entry *line = &report->lines[report->frame_lines[pseudo_frames[i]]];
        struct figures figures = line_report_stack_figures(replay, pseudo_stacks[i]);
        figures_add(&line->self, &figures);
        figures_add(&line->inclusive, &figures);
    }
    return STATUS_OK;
}

/* ---- inclusive sums ---- */

struct walk {
    struct figures *sums;                    /* of each shown stack with everything it calls */
    uint32_t *first_callee, *next_sibling;   /* 0: none */
    uint32_t *on_path;                       /* by line: how many nodes of the current path have it */
};

static void sum_subtrees(struct walk *walk, const struct line_report *report, const struct replay *replay)
{
    for (uint32_t id = 0; id < report->stack_count; id++) {
        struct figures figures = line_report_stack_figures(replay, id);
        figures_add(&walk->sums[report->stacks[id].shown_id], &figures);
    }
    /* Callers have lower numbers than what they call. */
    for (uint32_t id = report->stack_count - 1; id > 0; id--) {
        const struct stack_entry *entry = &report->stacks[id];
        if (entry->shown_id != id)
            continue;
        if (entry->caller_id)
            figures_add(&walk->sums[entry->caller_id], &walk->sums[id]);
        walk->next_sibling[id] = walk->first_callee[entry->caller_id];
        walk->first_callee[entry->caller_id] = id;
    }
}

static void enter_stack(struct walk *walk, struct line_report *report, uint32_t id)
{
    uint32_t line = report->frame_lines[report->stacks[id].frame_id];
    if (!walk->on_path[line]++)
        figures_add(&report->lines[line].inclusive, &walk->sums[id]);
}

static void walk_tree(struct walk *walk, struct line_report *report)
{
    uint32_t id = walk->first_callee[0];
    while (id) {
        enter_stack(walk, report, id);
        uint32_t next = walk->first_callee[id];
        while (!next && id) {
            walk->on_path[report->frame_lines[report->stacks[id].frame_id]]--;
            next = walk->next_sibling[id];
            id = next ? id : report->stacks[id].caller_id;
        }
        id = next;
    }
}

static int add_inclusive(struct line_report *report, const struct replay *replay)
{
    struct walk walk = {
        .sums = calloc(report->stack_count, sizeof *walk.sums),
        .first_callee = calloc(report->stack_count, sizeof *walk.first_callee),
        .next_sibling = calloc(report->stack_count, sizeof *walk.next_sibling),
        .on_path = calloc(report->line_count, sizeof *walk.on_path),
    };
    int enough = walk.sums && walk.first_callee && walk.next_sibling && walk.on_path;
    if (enough) {
        sum_subtrees(&walk, report, replay);
        /* What has no stack is on the line of the empty one. */
        figures_add(&report->lines[report->frame_lines[report->stacks[0].line_frame_id]].inclusive, &walk.sums[0]);
        walk_tree(&walk, report);
    }
    free(walk.sums);
    free(walk.first_callee);
    free(walk.next_sibling);
    free(walk.on_path);
    return enough ? STATUS_OK : STATUS_NO_MEMORY;
}

int line_report_build(struct line_report *report, const struct replay *replay, const struct frame_table *frames)
{
    *report = (struct line_report){0};
    int status = build_stacks(report, &replay->definitions, frames);
    if (!status)
        status = build_lines(report, frames);
    if (!status)
        status = add_self(report, replay, frames);
    if (!status)
        status = add_inclusive(report, replay);
    if (status)
        line_report_done(report);
    return status;
}

void line_report_done(struct line_report *report)
{
    free(report->stacks);
    free(report->lines);
    free(report->frame_lines);
    *report = (struct line_report){0};
}
