/* Adds up, judges and orders the rows of a comparison: see diff_rows.h. */
#include "diff_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* The stack of arena slack: id -1. */
#define SET_SLACK 1
/* pymalloc serves blocks up to this size from its arenas. Of a sample, slack is the arenas' size, which is known, less that of these blocks, which
 * is estimated: it has their error. */
#define ARENA_BLOCK_BYTES 512

struct loading {
    const struct diff_side *sides;
    struct diff_rows *rows;
    struct diff_match match;
    uint32_t *keys[2];      /* by stack index: which row */
    uint32_t *credited[2];  /* by stack index: frame id */
    uint32_t key_count;
    double arena_variance[2]; /* of blocks that may be in arenas */
    /* one side's levels, while they are read */
    int side, level_count;
    double *levels;         /* by row, then by window */
};

static enum set_key key_of(struct diff_rule rule)
{
    if (rule.by_stack)
        return SET_BY_LINE;
    return rule.by == ATTRIBUTE_FUNCTION ? SET_BY_FUNCTION : rule.by == ATTRIBUTE_MODULE ? SET_BY_MODULE : SET_BY_LINE;
}

static int is_import(const struct set_frame *frame)
{
    return frame->origin && !strcmp(frame->origin, "import");
}

/* The row of each stack of both sides. Imports as one row: the number behind all others. */
static void key_stacks(struct loading *loading, int fold_imports)
{
    struct diff_rule rule = loading->rows->rule;
    diff_match_make(loading->sides, key_of(rule), &loading->match);
    loading->key_count = rule.by_stack ? diff_match_stacks(loading->sides, &loading->match, loading->keys) : loading->match.place_count;
    for (int side = 0; side < 2; side++) {
        const struct stack_set *set = &loading->sides[side].set;
        loading->credited[side] = attribution_frames(set, rule.by_stack ? ATTRIBUTE_LINE : rule.by);
        if (rule.by_stack)
            continue;
        loading->keys[side] = memory_new(set->stack_count, sizeof *loading->keys[side]);
        for (uint32_t i = 0; i < set->stack_count; i++) {
            uint32_t frame = loading->credited[side][i];
            loading->keys[side][i] = fold_imports && is_import(&set->frames[frame]) ? loading->key_count : loading->match.places[side][frame];
        }
    }
    loading->key_count++;
    loading->rows->edited_files = loading->match.edited_files;
}

static int is_used(const struct diff_use *use)
{
    for (int m = 0; m < MEASURE_COUNT; m++)
        if (use->measures[m])
            return 1;
    return 0;
}

static void add_stack(struct loading *loading, int side, uint32_t stack)
{
    const struct diff_side *from = &loading->sides[side];
    const struct diff_use *use = &from->uses[stack];
    const struct cost *of = loading->rows->of;
    struct diff_row *row = &loading->rows->rows[loading->keys[side][stack]];
    uint32_t frame = loading->credited[side][stack];
    int64_t amount = use->measures[of->amount];
    if (!is_used(use))
        return;
    if (!row->frames[side] || amount > row->most[side]) {
        row->stacks[side] = stack;
        row->most[side] = amount;
        if (frame)
            row->frames[side] = &from->set.frames[frame];
    }
    for (int m = 0; m < MEASURE_COUNT; m++)
        row->measures[side][m] += use->measures[m];
    if (from->errors)
        count_error_add(&row->errors[side], &from->errors[stack]);
    if (measures[of->amount].is_bytes) {
        double variance = estimate_bytes_variance((double)amount, (double)use->measures[of->count], from->summary.sampling_interval_bytes);
        row->sample_variance[side] += variance;
        row->seen_blocks += noise_seen_blocks((double)amount, (double)use->measures[of->count], from->summary.sampling_interval_bytes);
        if (amount <= ARENA_BLOCK_BYTES * use->measures[of->count])
            loading->arena_variance[side] += variance;
    }
}

static void add_uses(struct loading *loading)
{
    for (uint32_t i = 0; i < loading->key_count; i++)
        loading->rows->rows[i].stacks[0] = loading->rows->rows[i].stacks[1] = SET_EMPTY;
    for (int side = 0; side < 2; side++)
        for (uint32_t stack = 0; stack < loading->sides[side].set.stack_count; stack++)
            add_stack(loading, side, stack);
    for (int side = 0; side < 2; side++) {
        struct diff_row *slack = &loading->rows->rows[loading->keys[side][SET_SLACK]];
        if (slack->measures[side][loading->rows->of->amount])
            slack->sample_variance[side] = loading->arena_variance[side];
        slack->seen_blocks = NOISE_FEW_BLOCKS;
    }
}

/* ---- noise ---- */

static void add_level(void *context, const struct diff_level *level)
{
    struct loading *loading = context;
    double *levels = loading->levels + (size_t)loading->keys[loading->side][level->stack] * (size_t)loading->level_count;
    for (int i = level->first; i <= level->last; i++)
        levels[i] += (double)level->bytes;
}

/* Only what is live has a level. */
static void add_fluctuation(struct loading *loading)
{
    if (loading->rows->of->amount != PEAK_BYTES && loading->rows->of->amount != LIVE_BYTES)
        return;
    for (int side = 0; side < 2; side++) {
        loading->side = side;
        loading->level_count = diff_side_level_count(&loading->sides[side]);
        loading->levels = memory_new((size_t)loading->level_count * loading->key_count, sizeof *loading->levels);
        diff_side_each_level(&loading->sides[side], add_level, loading);
        for (uint32_t i = 0; i < loading->key_count; i++)
            loading->rows->rows[i].levels_variance += noise_of_levels(loading->levels + (size_t)i * (size_t)loading->level_count, loading->level_count);
        free(loading->levels);
    }
}

static double count_of(const struct loading *loading, const struct diff_row *row, int side)
{
    const struct cost *of = loading->rows->of;
    return (double)row->measures[side][measures[of->amount].is_bytes ? of->count : of->amount];
}

/* Of samples the counts scatter because they are estimates, which their standard errors say already. Within one process there are no two runs. */
static void find_scatter(struct loading *loading)
{
    loading->rows->scatter = (struct noise_scatter){.ratio = 1};
    if (diff_sides_are_one_process(loading->sides))
        return;
    int is_sampled = loading->sides[0].summary.sampling_interval_bytes || loading->sides[1].summary.sampling_interval_bytes;
    double *old_counts = memory_new(loading->key_count, sizeof *old_counts), *new_counts = memory_new(loading->key_count, sizeof *new_counts);
    for (uint32_t i = 0; i < loading->key_count; i++) {
        old_counts[i] = count_of(loading, &loading->rows->rows[i], 0);
        new_counts[i] = count_of(loading, &loading->rows->rows[i], 1);
    }
    noise_scatter(old_counts, new_counts, loading->key_count, &loading->rows->scatter);
    if (is_sampled)
        loading->rows->scatter.dispersion = 0;
    free(old_counts);
    free(new_counts);
}

/* What fluctuates within a run also scatters between two: the larger of both, not their sum. */
static void judge(struct loading *loading, struct diff_row *row)
{
    enum measure amount = loading->rows->of->amount;
    double difference = (double)diff_row_delta(row, amount), sampled = row->sample_variance[0] + row->sample_variance[1];
    double known = row->levels_variance + sampled;
    double scattered = noise_of_scatter(&loading->rows->scatter, (double)row->measures[0][amount], count_of(loading, row, 0),
                                        (double)row->measures[1][amount], count_of(loading, row, 1));
    row->variance = known > scattered ? known : scattered;
    if (sampled > 0 && row->seen_blocks < NOISE_FEW_BLOCKS && row->variance * NOISE_LIMIT * NOISE_LIMIT < difference * difference)
        row->variance = difference * difference / (NOISE_LIMIT * NOISE_LIMIT);
    row->significance = noise_significance(difference, row->variance);
    row->certain = noise_certain(difference, row->variance);
}

/* ---- order ---- */

static enum diff_order sort_order; /* for qsort */
static enum measure sort_amount;

static int compare_numbers(double a, double b)
{
    return (a < b) - (a > b);
}

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int compare_places(const struct diff_row *a, const struct diff_row *b, int by_function)
{
    static const struct set_frame nothing;
    const struct set_frame *left = diff_row_frame(a) ? diff_row_frame(a) : &nothing, *right = diff_row_frame(b) ? diff_row_frame(b) : &nothing;
    int order = by_function ? compare_text(left->function, right->function) : 0;
    order = order ? order : compare_text(left->file ? left->file : left->module, right->file ? right->file : right->module);
    order = order ? order : (left->line > right->line) - (left->line < right->line);
    order = order ? order : compare_text(left->function, right->function);
    order = order ? order : (a->stacks[0] > b->stacks[0]) - (a->stacks[0] < b->stacks[0]);
    return order ? order : (a->stacks[1] > b->stacks[1]) - (a->stacks[1] < b->stacks[1]);
}

/* Arena slack and the like follow from what lines do. */
static int has_no_line(const struct diff_row *row)
{
    const struct set_frame *frame = diff_row_frame(row);
    return row->is_rest || (frame && !frame->file && !frame->module);
}

static int compare_rows(const void *a, const void *b)
{
    const struct diff_row *left = a, *right = b;
    double left_delta = (double)diff_row_delta(left, sort_amount), right_delta = (double)diff_row_delta(right, sort_amount);
    int order = 0;
    if (sort_order == ORDER_SIGNIFICANCE) {
        if (has_no_line(left) != has_no_line(right) && left->certain > 0 && right->certain > 0)
            return has_no_line(left) - has_no_line(right);
        order = compare_numbers(left->certain, right->certain);
    } else if (sort_order == ORDER_GROWTH)
        order = compare_numbers(left_delta, right_delta);
    else if (sort_order == ORDER_SHRINKAGE)
        order = compare_numbers(right_delta, left_delta);
    else if (sort_order == ORDER_OLD || sort_order == ORDER_NEW)
        order = compare_numbers((double)left->measures[sort_order == ORDER_NEW][sort_amount], (double)right->measures[sort_order == ORDER_NEW][sort_amount]);
    else if (sort_order == ORDER_FILE || sort_order == ORDER_FUNCTION)
        return compare_places(left, right, sort_order == ORDER_FUNCTION);
    order = order ? order : compare_numbers(fabs(left_delta), fabs(right_delta));
    return order ? order : compare_places(left, right, 0);
}

/* ---- all ---- */

/* What is live at a moment and has no stack any more at the end. Arena slack is in it: of a moment only the heap as a whole is known. */
static void add_rest(struct loading *loading)
{
    struct diff_row *row = &loading->rows->rows[loading->key_count++];
    *row = (struct diff_row){.is_rest = 1, .stacks = {SET_EMPTY, SET_EMPTY}};
    if (loading->sides[0].window_id < 0 && loading->sides[1].window_id < 0)
        return;
    for (int side = 0; side < 2; side++) {
        struct diff_row *slack = &loading->rows->rows[loading->keys[side][SET_SLACK]];
        row->measures[side][LIVE_BYTES] = loading->sides[side].unknown_bytes + slack->measures[side][LIVE_BYTES];
        slack->measures[side][LIVE_BYTES] = 0;
    }
}

static int is_worth_a_row(const struct diff_row *row)
{
    for (int m = 0; m < MEASURE_COUNT; m++)
        if (row->measures[0][m] || row->measures[1][m])
            return 1;
    return 0;
}

/* By what slack errs the blocks in arenas err the other way: it adds nothing to the total's variance. */
static void add_to_total(struct loading *loading, const struct diff_row *row, int is_slack)
{
    struct diff_row *total = &loading->rows->total;
    for (int side = 0; side < 2; side++) {
        for (int m = 0; m < MEASURE_COUNT; m++)
            total->measures[side][m] += row->measures[side][m];
        count_error_add(&total->errors[side], &row->errors[side]);
        if (is_slack)
            continue;
        total->sample_variance[side] += row->sample_variance[side];
        total->variance += row->sample_variance[side];
    }
}

static void finish_rows(struct loading *loading)
{
    struct diff_rows *rows = loading->rows;
    for (uint32_t i = 0; i < loading->key_count; i++) {
        if (!is_worth_a_row(&rows->rows[i]))
            continue;
        struct diff_row row = rows->rows[i];
        judge(loading, &row);
        add_to_total(loading, &row, i == loading->keys[0][SET_SLACK]);
        rows->rows[rows->count++] = row;
    }
}

void diff_rows_load(const struct diff_side *sides, struct diff_rule rule, const struct cost *of, enum diff_order order, int fold_imports,
                    struct diff_rows *ret_rows)
{
    struct diff_rows rows = {.of = of, .rule = rule};
    struct loading loading = {.sides = sides, .rows = &rows};
    key_stacks(&loading, fold_imports && !rule.by_stack);
    rows.rows = memory_new(loading.key_count + 1u, sizeof *rows.rows);
    add_uses(&loading);
    add_fluctuation(&loading);
    find_scatter(&loading);
    add_rest(&loading);
    finish_rows(&loading);
    sort_order = order;
    sort_amount = of->amount;
    qsort(rows.rows, (size_t)rows.count, sizeof *rows.rows, compare_rows);
    for (int side = 0; side < 2; side++) {
        free(loading.keys[side]);
        free(loading.credited[side]);
    }
    diff_match_free(&loading.match);
    *ret_rows = rows;
}

void diff_rows_free(struct diff_rows *rows)
{
    free(rows->rows);
    *rows = (struct diff_rows){0};
}
