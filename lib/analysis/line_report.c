/* Credits stacks to lines (line_report.h). The inclusive sums come from one walk over the tree of stacks: the sum of a node's
 * whole subtree goes to its line, unless a node nearer to the root has that line already. */
#include "line_report.h"

#include "array.h"
#include "inline_sites.h"

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

static struct figures figures_of_use(const struct replay *replay, uint32_t use_id)
{
    const struct stack_use *use = &replay->uses.uses[use_id];
    struct stack_level peak = replay_peak_level(replay, use_id);
    return (struct figures){{
        [FIGURE_PEAK_BYTES] = peak.bytes,
        [FIGURE_PEAK_ALLOCATIONS] = peak.allocations,
        [FIGURE_LIVE_BYTES] = use->live_bytes,
        [FIGURE_LIVE_ALLOCATIONS] = use->live_allocations,
        [FIGURE_ALLOCATED_BYTES] = use->allocated_bytes,
        [FIGURE_ALLOCATIONS] = use->allocations,
        [FIGURE_TEMPORARY_ALLOCATIONS] = use->temporary_allocations,
        [FIGURE_COPIED_BYTES] = replay->uses.copies[use->copy_id].bytes,
        [FIGURE_COPIES] = replay->uses.copies[use->copy_id].count,
    }};
}

struct figures line_report_stack_figures(const struct replay *replay, int64_t stack_id)
{
    const struct replay_totals *totals = &replay->totals;
    if (stack_id == STACK_ARENA_SLACK)
        return (struct figures){{[FIGURE_PEAK_BYTES] = totals->peak_slack_bytes, [FIGURE_LIVE_BYTES] = totals->live_slack_bytes}};
    if (stack_id == STACK_SMALL_COPIES)
        return (struct figures){{[FIGURE_COPIED_BYTES] = totals->small_copied_bytes, [FIGURE_COPIES] = totals->small_copies}};
    uint32_t use_id = replay->uses.ids[stack_id];
    return use_id ? figures_of_use(replay, use_id) : (struct figures){{0}};
}

/* ---- the tree of stacks ---- */

/* How good a frame is to be credited, the best kind first; among equals the innermost one.
 * System libraries come after the program, also where their debug information is installed and the program's is not, and the runtime library
 * after all others: strdup allocates for its caller, and what starts each thread or constructor has nothing to do with what that does. */
enum credit { CREDIT_PYTHON, CREDIT_LINE, CREDIT_MODULE, CREDIT_SYSTEM_LINE, CREDIT_SYSTEM, CREDIT_LAST };

static enum credit credit_of_frame(const struct frame *frame)
{
    if (frame->kind == TRACE_FRAME_PYTHON)
        return CREDIT_PYTHON;
    if (frame->kind != TRACE_FRAME_NATIVE || (frame->module && frame_origin_is_runtime(frame->module)))
        return CREDIT_LAST;
    if (frame->origin == FRAME_SYSTEM || !frame->module)
        return frame->file ? CREDIT_SYSTEM_LINE : CREDIT_SYSTEM;
    return frame->file ? CREDIT_LINE : CREDIT_MODULE;
}

static uint32_t frame_of_stack(const struct line_report *report, uint32_t stack_id)
{
    return report->frames->place_frames[report->definitions->nodes[stack_id].place_id];
}

/* Itself; where its frame is hidden, the nearest caller whose frame isn't. */
static uint32_t shown_stack(const struct line_report *report, uint32_t stack_id)
{
    while (report->has_hidden && stack_id && frame_of_stack(report, stack_id) == FRAME_HIDDEN)
        stack_id = report->definitions->nodes[stack_id].caller_id;
    return stack_id;
}

struct stack_entry line_report_stack(const struct line_report *report, uint32_t stack_id)
{
    uint32_t shown_id = shown_stack(report, stack_id);
    return (struct stack_entry){
        .caller_id = shown_stack(report, report->definitions->nodes[shown_id].caller_id),
        .frame_id = frame_of_stack(report, shown_id),
        .line_frame_id = report->line_frames[shown_id],
        .depth = report->depths[shown_id],
    };
}

/* `credits`: by frame id. The caller has been filled. */
static void fill_stack(struct line_report *report, const uint8_t *credits, uint32_t id)
{
    uint32_t caller_id = report->definitions->nodes[id].caller_id, frame_id = frame_of_stack(report, id);
    uint32_t callers_line = report->line_frames[caller_id];
    if (frame_id == FRAME_HIDDEN) {
        report->line_frames[id] = callers_line;
        report->depths[id] = report->depths[caller_id];
        return;
    }
    /* That of the empty stack is nobody's. */
    int as_good = !report->depths[caller_id] || credits[frame_id] <= credits[callers_line];
    report->line_frames[id] = as_good ? frame_id : callers_line;
    report->depths[id] = report->depths[caller_id] + 1;
}

/* Callers come before what they call, but for those by inlining, which have the highest numbers: of these there are few in a row. */
static void fill_callers(struct line_report *report, const uint8_t *credits, uint32_t id)
{
    uint32_t callers[INLINE_SITES_MAX], caller_id = id;
    size_t count = 0;
    while ((caller_id = report->definitions->nodes[caller_id].caller_id) > id && count < INLINE_SITES_MAX)
        callers[count++] = caller_id;
    while (count--)
        fill_stack(report, credits, callers[count]);
}

static void fill_stacks(struct line_report *report, const uint8_t *credits)
{
    report->line_frames[0] = report->frames->unknown_frame;
    report->depths[0] = 0;
    for (uint32_t id = 1; id < report->stack_count; id++) {
        if (report->definitions->nodes[id].caller_id > id)
            fill_callers(report, credits, id);
        fill_stack(report, credits, id);
    }
}

static int build_stacks(struct line_report *report)
{
    uint8_t *credits = malloc(report->frames->frame_count);
    report->line_frames = malloc(report->stack_count * sizeof *report->line_frames);
    report->depths = malloc(report->stack_count * sizeof *report->depths);
    int enough = credits && report->line_frames && report->depths;
    if (enough) {
        for (uint32_t id = 1; id < report->frames->frame_count; id++)
            credits[id] = (uint8_t)credit_of_frame(&report->frames->frames[id]);
        fill_stacks(report, credits);
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

static void add_error(struct count_error *sum, const struct replay *replay, uint32_t use_id)
{
    struct count_error error = stack_uses_error_of(&replay->uses, use_id);
    count_error_add(sum, &error);
}

static int add_self(struct line_report *report, const struct replay *replay, const struct frame_table *frames)
{
    static const enum pseudo_stack pseudo_stacks[] = {STACK_ARENA_SLACK, STACK_SMALL_COPIES};
    const uint32_t pseudo_frames[] = {frames->slack_frame, frames->small_copies_frame};
    struct figures *most = calloc(report->line_count, sizeof *most);
    if (!most)
        return STATUS_NO_MEMORY;
    for (uint32_t id = 0; id < report->stack_count; id++) {
        if (!replay->uses.ids[id])
            continue;
        struct figures figures = line_report_stack_figures(replay, id);
        uint32_t line = report->frame_lines[report->line_frames[id]];
        figures_add(&report->lines[line].self, &figures);
        if (report->errors)
            add_error(&report->errors[line].self, replay, replay->uses.ids[id]);
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

struct links {
    uint32_t first_callee, next_sibling;   /* 0: none */
};

struct walk {
    struct links *links;                   /* by stack id */
    uint32_t *on_path;                     /* by line: how many stacks of the current path have it */
    struct figures *sums;                  /* of the current path's stacks, with all that they called so far */
    struct count_error *errors;            /* the same, where the report has errors */
    size_t sum_capacity, error_capacity, depth;            /* depth: of the path; sums[0] is of what has no stack */
};

static void link_callees(struct walk *walk, const struct line_report *report)
{
    for (uint32_t id = report->stack_count - 1; id > 0; id--) {
        uint32_t caller_id = report->definitions->nodes[id].caller_id;
        walk->links[id].next_sibling = walk->links[caller_id].first_callee;
        walk->links[caller_id].first_callee = id;
    }
}

/* What a hidden stack used itself is its caller's. */
static int enter_stack(struct walk *walk, const struct line_report *report, const struct replay *replay, uint32_t id)
{
    uint32_t frame_id = frame_of_stack(report, id), use_id = replay->uses.ids[id];
    if (frame_id != FRAME_HIDDEN) {
        if (!ARRAY_EXTEND(walk->sums, walk->sum_capacity, ++walk->depth + 1))
            return STATUS_NO_MEMORY;
        walk->sums[walk->depth] = (struct figures){{0}};
        if (report->errors) {
            if (!ARRAY_EXTEND(walk->errors, walk->error_capacity, walk->depth + 1))
                return STATUS_NO_MEMORY;
            walk->errors[walk->depth] = (struct count_error){0};
        }
        walk->on_path[report->frame_lines[frame_id]]++;
    }
    if (use_id) {
        struct figures figures = figures_of_use(replay, use_id);
        figures_add(&walk->sums[walk->depth], &figures);
        if (report->errors)
            add_error(&walk->errors[walk->depth], replay, use_id);
    }
    return STATUS_OK;
}

static void leave_error(struct walk *walk, struct count_error *line, int is_outermost)
{
    const struct count_error *error = &walk->errors[walk->depth + 1];
    if (is_outermost)
        count_error_add(line, error);
    if (walk->depth)
        count_error_add(&walk->errors[walk->depth], error);
}

static void leave_stack(struct walk *walk, struct line_report *report, uint32_t id)
{
    uint32_t frame_id = frame_of_stack(report, id);
    if (frame_id == FRAME_HIDDEN)
        return;
    const struct figures *sum = &walk->sums[walk->depth--];
    uint32_t line = report->frame_lines[frame_id];
    int is_outermost = !--walk->on_path[line];
    if (is_outermost)
        figures_add(&report->lines[line].inclusive, sum);
    if (walk->depth)
        figures_add(&walk->sums[walk->depth], sum);
    if (report->errors)
        leave_error(walk, &report->errors[line].inclusive, is_outermost);
}

static int walk_tree(struct walk *walk, struct line_report *report, const struct replay *replay)
{
    const struct node_definition *nodes = report->definitions->nodes;
    uint32_t id = walk->links[0].first_callee;
    while (id) {
        /* The path may come back from far away. */
        uint32_t sibling = walk->links[id].next_sibling;
        __builtin_prefetch(&nodes[sibling]);
        __builtin_prefetch(&walk->links[sibling]);
        __builtin_prefetch(&replay->uses.ids[sibling]);
        if (enter_stack(walk, report, replay, id))
            return STATUS_NO_MEMORY;
        uint32_t next = walk->links[id].first_callee;
        while (!next && id) {
            leave_stack(walk, report, id);
            next = walk->links[id].next_sibling;
            id = next ? id : nodes[id].caller_id;
        }
        id = next;
    }
    return STATUS_OK;
}

static int walk_from_root(struct walk *walk, struct line_report *report, const struct replay *replay)
{
    if (!ARRAY_EXTEND(walk->sums, walk->sum_capacity, 1))
        return STATUS_NO_MEMORY;
    walk->sums[0] = line_report_stack_figures(replay, 0);
    if (report->errors) {
        if (!ARRAY_RESERVE(walk->errors, walk->error_capacity, 1))
            return STATUS_NO_MEMORY;
        add_error(&walk->errors[0], replay, replay->uses.ids[0]);
    }
    link_callees(walk, report);
    int status = walk_tree(walk, report, replay);
    /* What has no stack is on the line of the empty one. */
    uint32_t unknown = report->frame_lines[report->frames->unknown_frame];
    if (!status)
        figures_add(&report->lines[unknown].inclusive, &walk->sums[0]);
    if (!status && report->errors)
        count_error_add(&report->errors[unknown].inclusive, &walk->errors[0]);
    return status;
}

static int add_inclusive(struct line_report *report, const struct replay *replay)
{
    struct walk walk = {
        .links = calloc(report->stack_count, sizeof *walk.links),
        .on_path = calloc(report->line_count, sizeof *walk.on_path),
    };
    int enough = walk.links && walk.on_path;
    int status = enough ? walk_from_root(&walk, report, replay) : STATUS_NO_MEMORY;
    free(walk.links);
    free(walk.on_path);
    free(walk.sums);
    free(walk.errors);
    return status;
}

static int build(struct line_report *report, const struct replay *replay, const struct frame_table *frames, int with_inclusive)
{
    *report = (struct line_report){
        .definitions = &replay->definitions, .frames = frames, .stack_count = replay->definitions.node_count};
    for (uint32_t id = 1; id < replay->definitions.places.place_count; id++)
        report->has_hidden |= frames->place_frames[id] == FRAME_HIDDEN;
    int status = build_lines(report, frames);
    if (!status && replay_knows_errors(replay) && !(report->errors = calloc(report->line_count + (size_t)1, sizeof *report->errors)))
        status = STATUS_NO_MEMORY;
    /* In this order, so that what the walk needs is freed before what stays is there. */
    if (!status && with_inclusive)
        status = add_inclusive(report, replay);
    if (!status)
        status = build_stacks(report);
    if (!status)
        status = add_self(report, replay, frames);
    if (status)
        line_report_done(report);
    return status;
}

int line_report_build(struct line_report *report, const struct replay *replay, const struct frame_table *frames)
{
    return build(report, replay, frames, 1);
}

int line_report_build_self(struct line_report *report, const struct replay *replay, const struct frame_table *frames)
{
    return build(report, replay, frames, 0);
}

void line_report_done(struct line_report *report)
{
    free(report->line_frames);
    free(report->depths);
    free(report->lines);
    free(report->errors);
    free(report->frame_lines);
    *report = (struct line_report){0};
}
