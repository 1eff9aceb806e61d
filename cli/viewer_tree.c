/* Merges stacks to nodes, and folds what is small: see viewer_tree.h. */
#include "viewer_tree.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

/* A node's share of these decides whether it stays. Whatever was used has a share of one of them. */
static const enum measure weights[] = {PEAK_BYTES, LIVE_BYTES, ALLOCATED_BYTES, TEMPORARY_ALLOCATIONS, COPIED_BYTES, ALLOCATIONS, LIVE_ALLOCATIONS, COPIES};
#define WEIGHT_COUNT (sizeof weights / sizeof *weights)

#define NOT_KEPT UINT32_MAX

/* ---- stacks of the same frames ---- */

struct merger {
    struct viewer_tree *tree;
    uint32_t *table; /* open addressing: node numbers; 0: free */
    uint32_t mask;
};

static uint32_t hash_of(uint32_t parent, uint32_t frame)
{
    uint64_t key = ((uint64_t)parent << 32 | frame) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(key >> 32 ^ key >> 20);
}

static uint32_t child_of(struct merger *merger, uint32_t parent, uint32_t frame, uint32_t line_frame, int is_interpreter)
{
    struct viewer_tree *tree = merger->tree;
    uint32_t at = hash_of(parent, frame) & merger->mask;
    for (; merger->table[at]; at = (at + 1) & merger->mask) {
        const struct viewer_node *node = &tree->nodes[merger->table[at]];
        if (node->parent == parent && node->frame == frame)
            break;
    }
    if (merger->table[at]) {
        tree->nodes[merger->table[at]].is_interpreter |= is_interpreter;
        return merger->table[at];
    }
    merger->table[at] = tree->node_count;
    tree->nodes[tree->node_count] = (struct viewer_node){
        .parent = parent, .frame = frame, .line_frame = line_frame, .is_interpreter = is_interpreter};
    return tree->node_count++;
}

static void merge_stacks(const struct stack_set *set, struct viewer_tree *tree)
{
    struct merger merger = {.tree = tree, .mask = 1};
    uint8_t *is_interpreter = stack_set_find_interpreter(set);
    while (merger.mask < 2 * set->stack_count)
        merger.mask = merger.mask << 1 | 1;
    merger.table = memory_new((size_t)merger.mask + 1, sizeof *merger.table);
    tree->nodes = memory_new((size_t)set->stack_count + 1, sizeof *tree->nodes);
    tree->node_of_stack = memory_new(set->stack_count, sizeof *tree->node_of_stack);
    tree->node_count = 1;
    for (uint32_t i = 0; i < set->stack_count; i++) {
        const struct set_stack *stack = &set->stacks[i];
        uint32_t parent = i > SET_EMPTY && stack->caller != SET_EMPTY ? tree->node_of_stack[stack->caller] : 0;
        uint32_t frame = stack->frame ? stack->frame : stack->line_frame;
        tree->node_of_stack[i] = frame ? child_of(&merger, parent, frame, stack->line_frame, is_interpreter[i]) : parent;
    }
    free(merger.table);
    free(is_interpreter);
}

static void add_uses(sqlite3 *database, const struct stack_set *set, struct viewer_tree *tree)
{
    sqlite3_stmt *row = query_prepare(database, "SELECT stack_id, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, "
                                                "allocations, temporary_allocations, copied_bytes, copies FROM stack_use");
    while (query_step(row)) {
        struct viewer_node *node = &tree->nodes[tree->node_of_stack[stack_set_index(set, sqlite3_column_int64(row, 0))]];
        tree->stack_count++;
        node->folded_count++;
        for (int i = 0; i < MEASURE_COUNT; i++)
            node->self[i] += sqlite3_column_int64(row, 1 + i);
    }
}

static void add_pair_uses(const struct stack_set *set, const struct viewer_pair_use *uses, struct viewer_tree *tree)
{
    tree->old = memory_new(tree->node_count, sizeof *tree->old);
    for (uint32_t i = 0; i < set->stack_count; i++) {
        uint32_t node = tree->node_of_stack[i];
        int is_used = 0;
        for (int m = 0; m < MEASURE_COUNT; m++) {
            tree->old[node][m] += uses[i].measures[0][m];
            tree->nodes[node].self[m] += uses[i].measures[1][m];
            is_used |= uses[i].measures[0][m] || uses[i].measures[1][m];
        }
        tree->stack_count += is_used;
        tree->nodes[node].folded_count += (uint32_t)is_used;
    }
}

/* ---- what stays ---- */

enum side { SIDE_NEW, SIDE_OLD, SIDE_DIFFERENCE };

static int64_t amount_of(const struct viewer_tree *tree, uint32_t node, enum measure measure, enum side side)
{
    int64_t now = tree->nodes[node].self[measure], before = side == SIDE_NEW ? 0 : tree->old[node][measure];
    return side == SIDE_NEW ? now : side == SIDE_OLD ? before : now > before ? now - before : before - now;
}

/* Raises shares to a node's share of one measure, those of what it calls included. */
static void raise_shares(const struct viewer_tree *tree, enum measure measure, enum side side, double *sums, double *shares)
{
    double total = 0;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        sums[i] = (double)amount_of(tree, i, measure, side);
        total += sums[i];
    }
    for (uint32_t i = tree->node_count; i-- > 1 && total > 0;) {
        sums[tree->nodes[i].parent] += sums[i];
        if (sums[i] / total > shares[i])
            shares[i] = sums[i] / total;
    }
}

/* By node: the largest of its shares. */
static double *find_shares(const struct viewer_tree *tree)
{
    double *shares = memory_new(tree->node_count, sizeof *shares);
    double *sums = memory_new(tree->node_count, sizeof *sums);
    for (size_t w = 0; w < WEIGHT_COUNT; w++)
        for (enum side side = SIDE_NEW; side <= (tree->old ? SIDE_DIFFERENCE : SIDE_NEW); side++)
            raise_shares(tree, weights[w], side, sums, shares);
    free(sums);
    return shares;
}

static int compare_shares(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left < right) - (left > right);
}

/* The share that a node must exceed to be among the first `max_nodes`. */
static double find_threshold(const double *shares, uint32_t count, uint32_t max_nodes)
{
    if (count <= max_nodes)
        return 0;
    double *sorted = memory_new(count, sizeof *sorted);
    memcpy(sorted, shares, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_shares);
    double threshold = sorted[max_nodes];
    free(sorted);
    return threshold;
}

/* By node: whether anything was ever counted in it or below. */
static uint8_t *find_used(const struct viewer_tree *tree)
{
    uint8_t *used = memory_new(tree->node_count, 1);
    for (uint32_t i = tree->node_count; i-- > 1;) {
        used[i] |= tree->nodes[i].folded_count != 0;
        used[tree->nodes[i].parent] |= used[i];
    }
    return used;
}

struct folder {
    struct viewer_tree *tree;
    struct viewer_node *nodes; /* as they will be */
    int64_t (*old)[MEASURE_COUNT];
    uint32_t count;
    uint32_t *places;          /* by old number: the new one */
    uint32_t *rest;            /* by new number: its folded node; 0: none yet */
};

/* Those that stay, in the old order. */
static void keep(struct folder *folder, const double *shares, double threshold)
{
    const struct viewer_tree *tree = folder->tree;
    folder->nodes[0] = tree->nodes[0];
    if (tree->old)
        memcpy(folder->old[0], tree->old[0], sizeof *folder->old);
    for (uint32_t i = 1; i < tree->node_count; i++) {
        struct viewer_node *node = &folder->nodes[folder->count];
        folder->places[i] = shares[i] > threshold ? folder->count++ : NOT_KEPT;
        if (folder->places[i] == NOT_KEPT)
            continue;
        *node = tree->nodes[i];
        if (tree->old)
            memcpy(folder->old[folder->places[i]], tree->old[i], sizeof *folder->old);
        node->parent = folder->places[node->parent];
        node->folded_count = 0;
    }
}

static uint32_t rest_of(struct folder *folder, uint32_t caller)
{
    int is_rest = caller && !folder->nodes[caller].frame;
    uint32_t parent = is_rest ? folder->nodes[caller].parent : caller;
    if (!folder->rest[parent]) {
        folder->rest[parent] = folder->count;
        folder->nodes[folder->count++] = (struct viewer_node){.parent = parent};
    }
    return folder->rest[parent];
}

static void count_in(struct folder *folder, uint32_t place, uint32_t old_place)
{
    const struct viewer_node *node = &folder->tree->nodes[old_place];
    folder->nodes[place].folded_count += node->folded_count;
    folder->tree->folded_stacks += node->folded_count;
    for (int i = 0; i < MEASURE_COUNT; i++) {
        folder->nodes[place].self[i] += node->self[i];
        folder->tree->folded[i] += node->self[i];
    }
    for (int i = 0; i < MEASURE_COUNT && folder->tree->old; i++)
        folder->old[place][i] += folder->tree->old[old_place][i];
}

/* The others, callers first; what was never used leaves no node. */
static void put_away(struct folder *folder, const uint8_t *used)
{
    const struct viewer_tree *tree = folder->tree;
    for (uint32_t i = 1; i < tree->node_count; i++) {
        if (folder->places[i] != NOT_KEPT)
            continue;
        uint32_t caller = folder->places[tree->nodes[i].parent];
        folder->places[i] = used[i] ? rest_of(folder, caller) : caller;
        if (used[i])
            count_in(folder, folder->places[i], i);
    }
}

static void fold(struct viewer_tree *tree, uint32_t stack_count, const double *shares, double threshold)
{
    uint8_t *used = find_used(tree);
    struct folder folder = {
        .tree = tree,
        .nodes = memory_new(2 * (size_t)tree->node_count, sizeof *folder.nodes),
        .old = tree->old ? memory_new(2 * (size_t)tree->node_count, sizeof *folder.old) : NULL,
        .count = 1,
        .places = memory_new(tree->node_count, sizeof *folder.places),
        .rest = memory_new(2 * (size_t)tree->node_count, sizeof *folder.rest),
    };
    keep(&folder, shares, threshold);
    put_away(&folder, used);
    for (uint32_t i = 0; i < stack_count; i++)
        tree->node_of_stack[i] = folder.places[tree->node_of_stack[i]];
    free(tree->nodes);
    free(tree->old);
    tree->nodes = folder.nodes;
    tree->old = folder.old;
    tree->node_count = folder.count;
    free(folder.places);
    free(folder.rest);
    free(used);
}

static void fold_small(const struct stack_set *set, uint32_t max_nodes, struct viewer_tree *tree)
{
    double *shares = find_shares(tree);
    fold(tree, set->stack_count, shares, find_threshold(shares, tree->node_count, max_nodes));
    free(shares);
}

void viewer_tree_build(sqlite3 *database, const struct stack_set *set, uint32_t max_nodes, struct viewer_tree *ret_tree)
{
    struct viewer_tree tree = {0};
    merge_stacks(set, &tree);
    add_uses(database, set, &tree);
    fold_small(set, max_nodes, &tree);
    *ret_tree = tree;
}

void viewer_tree_build_pair(const struct stack_set *set, const struct viewer_pair_use *uses, uint32_t max_nodes, struct viewer_tree *ret_tree)
{
    struct viewer_tree tree = {0};
    merge_stacks(set, &tree);
    add_pair_uses(set, uses, &tree);
    fold_small(set, max_nodes, &tree);
    *ret_tree = tree;
}

void viewer_tree_free(struct viewer_tree *tree)
{
    free(tree->nodes);
    free(tree->old);
    free(tree->node_of_stack);
    *tree = (struct viewer_tree){0};
}
