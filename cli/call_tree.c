/* Builds trees of stacks: see call_tree.h. Top-down, each stack's node follows from its caller's; bottom-up, a node's stacks are sorted by
 * the frame that comes next. */
#include "call_tree.h"

#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "memory.h"
#include "name_pattern.h"
#include "paths.h"

#define NO_NODE UINT32_MAX

static uint32_t add_node(struct call_tree *tree, uint32_t parent, uint32_t frame, uint32_t key)
{
    if (tree->node_count == tree->node_capacity) {
        tree->node_capacity = tree->node_capacity ? 2 * tree->node_capacity : 1024;
        tree->nodes = memory_resize(tree->nodes, tree->node_capacity, sizeof *tree->nodes);
    }
    struct tree_node *node = &tree->nodes[tree->node_count];
    *node = (struct tree_node){.parent = parent, .frame = frame, .key = key};
    if (tree->node_count) {
        node->next_sibling = tree->nodes[parent].first_child;
        tree->nodes[parent].first_child = tree->node_count;
    }
    return tree->node_count++;
}

/* Are runs of such frames one node? */
static int is_merged(const struct call_tree *tree, uint32_t key)
{
    return tree->merges_runs || key == tree->keys[0];
}

/* ---- which function ---- */

/* Exactly, without its parameters, without its class or namespace; 'file:line'; or a pattern with a star. */
static int is_function(const struct set_frame *frame, const char *wanted)
{
    const char *name = frame->function ? frame->function : "";
    size_t length = strcspn(name, "("), wanted_length = strlen(wanted);
    char place[512];
    if (!strcmp(name, wanted))
        return 1;
    if (length == wanted_length && !strncmp(name, wanted, length))
        return 1;
    if (length > wanted_length && !strncmp(name + length - wanted_length, wanted, wanted_length) &&
        strchr(".:", name[length - wanted_length - 1]))
        return 1;
    if (frame->file && strchr(wanted, ':')) {
        snprintf(place, sizeof place, "%s:%lld", paths_base(frame->file), (long long)frame->line);
        if (!strcmp(place, wanted))
            return 1;
    }
    return strchr(wanted, '*') && name_pattern_matches(wanted, name);
}

/* By frame id. */
static uint8_t *find_function(const struct call_tree *tree, const char *wanted)
{
    uint8_t *found = memory_new(tree->set.frame_count, 1);
    for (uint32_t i = 1; i < tree->set.frame_count; i++)
        found[i] = (uint8_t)is_function(&tree->set.frames[i], wanted);
    return found;
}

/* ---- top-down ---- */

struct child_index {
    uint32_t *slots; /* node numbers; 0: free */
    size_t capacity; /* a power of two, twice the stacks */
};

static uint32_t child_of(struct call_tree *tree, struct child_index *index, uint32_t parent, uint32_t frame)
{
    uint32_t key = tree->keys[frame];
    uint64_t hash = ((uint64_t)parent << 32 | key) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t slot = (hash >> 20) & (index->capacity - 1);; slot = (slot + 1) & (index->capacity - 1)) {
        uint32_t node = index->slots[slot];
        if (!node)
            return index->slots[slot] = add_node(tree, parent, frame, key);
        if (tree->nodes[node].parent == parent && tree->nodes[node].key == key)
            return node;
    }
}

/* Of a stack with this innermost frame, given its caller's; NO_NODE: not in the tree. */
static uint32_t node_of(struct call_tree *tree, struct child_index *index, uint32_t callers, uint32_t frame, const uint8_t *found)
{
    if (callers == NO_NODE && !(found && found[frame]))
        return NO_NODE;
    uint32_t parent = callers == NO_NODE ? 0 : callers;
    int is_same_run = parent && tree->nodes[parent].key == tree->keys[frame] && is_merged(tree, tree->keys[frame]);
    return is_same_run ? parent : child_of(tree, index, parent, frame);
}

static void place_stacks(struct call_tree *tree, uint32_t *places, const uint8_t *found)
{
    struct child_index index = {.capacity = 1024};
    while (index.capacity < 2 * (size_t)tree->set.stack_count)
        index.capacity *= 2;
    index.slots = memory_new(index.capacity, sizeof *index.slots);
    for (uint32_t i = 0; i < tree->set.stack_count; i++) {
        const struct set_stack *stack = &tree->set.stacks[i];
        uint32_t frame = stack->frame ? stack->frame : stack->line_frame;
        int has_caller = i > SET_EMPTY && stack->caller != SET_EMPTY;
        uint32_t callers = has_caller ? places[stack->caller] : found ? NO_NODE : 0;
        places[i] = frame ? node_of(tree, &index, callers, frame, found) : callers;
    }
    free(index.slots);
}

void tree_error_add(struct tree_error *sum, const struct tree_error *error)
{
    sum->variance += error->variance;
    if (error->largest > sum->largest)
        sum->largest = error->largest;
}

/* Parents have lower numbers than their children. */
static void sum_up(struct call_tree *tree)
{
    for (uint32_t i = tree->node_count - 1; i > 0; i--) {
        struct tree_node *node = &tree->nodes[i], *parent = &tree->nodes[node->parent];
        node->amount += node->self_amount;
        node->count += node->self_count;
        tree_error_add(&node->error, &node->self_error);
        parent->amount += node->amount;
        parent->count += node->count;
        tree_error_add(&parent->error, &node->error);
    }
    tree->nodes[0].amount += tree->nodes[0].self_amount;
    tree->nodes[0].count += tree->nodes[0].self_count;
    tree_error_add(&tree->nodes[0].error, &tree->nodes[0].self_error);
}

static void build_top_down(struct call_tree *tree, const uint8_t *found)
{
    uint32_t *places = memory_new(tree->set.stack_count, sizeof *places);
    place_stacks(tree, places, found);
    for (int64_t i = 0; i < tree->entry_count; i++) {
        const struct tree_entry *entry = &tree->entries[i];
        uint32_t place = places[entry->cursor];
        if (place == NO_NODE)
            continue;
        tree->nodes[place].self_amount += entry->amount;
        tree->nodes[place].self_count += entry->count;
        tree_error_add(&tree->nodes[place].self_error, &entry->error);
    }
    free(places);
    sum_up(tree);
}

/* ---- bottom-up ---- */

/* Moves each entry to where the function is on it, the outermost time; drops those without it. */
static void move_to_function(struct call_tree *tree, const uint8_t *found)
{
    int64_t kept = 0;
    uint32_t *outermost = memory_new(tree->set.stack_count, sizeof *outermost);
    for (uint32_t i = SET_EMPTY + 1; i < tree->set.stack_count; i++) {
        const struct set_stack *stack = &tree->set.stacks[i];
        outermost[i] = outermost[stack->caller] ? outermost[stack->caller] : found[stack->frame] ? i : 0;
    }
    for (int64_t i = 0; i < tree->entry_count; i++) {
        struct tree_entry entry = tree->entries[i];
        if (!(entry.cursor = outermost[entry.cursor]))
            continue;
        tree->entries[kept++] = entry;
    }
    tree->entry_count = kept;
    free(outermost);
}

/* The frame that a cursor stands at; 0: behind the outermost one. */
static uint32_t frame_at(const struct call_tree *tree, uint32_t cursor)
{
    if (cursor == NO_NODE)
        return 0;
    const struct set_stack *stack = &tree->set.stacks[cursor];
    return stack->frame ? stack->frame : stack->line_frame;
}

static uint32_t next_outward(const struct call_tree *tree, uint32_t cursor)
{
    uint32_t caller = cursor > SET_EMPTY ? tree->set.stacks[cursor].caller : SET_EMPTY;
    return caller == SET_EMPTY ? NO_NODE : caller;
}

struct sorted_entry {
    struct tree_entry entry;
    uint32_t key, frame;
};

static int compare_keys(const void *a, const void *b)
{
    const struct sorted_entry *left = a, *right = b;
    return left->key != right->key ? (left->key > right->key) - (left->key < right->key)
                                   : (left->frame > right->frame) - (left->frame < right->frame);
}

static void add_children(struct call_tree *tree, uint32_t parent, const struct sorted_entry *sorted, int64_t first, int64_t count)
{
    uint32_t child = 0;
    for (int64_t i = 0; i < count; i++) {
        tree->entries[first + i] = sorted[i].entry;
        if (!sorted[i].frame)
            continue;
        if (!child || tree->nodes[child].key != sorted[i].key) {
            child = add_node(tree, parent, sorted[i].frame, sorted[i].key);
            tree->nodes[child].first_entry = first + i;
        }
        struct tree_node *node = &tree->nodes[child];
        uint32_t *cursor = &tree->entries[first + i].cursor;
        do
            *cursor = next_outward(tree, *cursor);
        while (is_merged(tree, node->key) && *cursor != NO_NODE && tree->keys[frame_at(tree, *cursor)] == node->key);
        node->amount += sorted[i].entry.amount;
        node->count += sorted[i].entry.count;
        tree_error_add(&node->error, &sorted[i].entry.error);
        node->entry_count++;
    }
}

static void expand_bottom_up(struct call_tree *tree, uint32_t number)
{
    struct tree_node *node = &tree->nodes[number];
    int64_t count = node->entry_count, first = node->first_entry;
    struct sorted_entry *sorted = memory_new((size_t)count + 1, sizeof *sorted);
    node->entry_count = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t cursor = tree->entries[first + i].cursor, frame = frame_at(tree, cursor);
        sorted[i] = (struct sorted_entry){tree->entries[first + i], frame ? tree->keys[frame] : 0, frame};
    }
    if (count)
        qsort(sorted, (size_t)count, sizeof *sorted, compare_keys);
    add_children(tree, number, sorted, first, count);
    free(sorted);
}

/* ---- both ---- */

struct sibling {
    uint32_t node, key;
    int64_t amount, count;
};

static int compare_siblings(const void *a, const void *b)
{
    const struct sibling *left = a, *right = b;
    if (left->amount != right->amount)
        return left->amount < right->amount ? 1 : -1;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return (left->key > right->key) - (left->key < right->key);
}

static void sort_children(struct call_tree *tree, uint32_t parent)
{
    size_t count = 0;
    for (uint32_t child = tree->nodes[parent].first_child; child; child = tree->nodes[child].next_sibling)
        count++;
    if (count < 2)
        return;
    struct sibling *siblings = memory_new(count, sizeof *siblings);
    count = 0;
    for (uint32_t child = tree->nodes[parent].first_child; child; child = tree->nodes[child].next_sibling)
        siblings[count++] = (struct sibling){child, tree->nodes[child].key, tree->nodes[child].amount, tree->nodes[child].count};
    qsort(siblings, count, sizeof *siblings, compare_siblings);
    tree->nodes[parent].first_child = siblings[0].node;
    for (size_t i = 0; i < count; i++)
        tree->nodes[siblings[i].node].next_sibling = i + 1 < count ? siblings[i + 1].node : 0;
    free(siblings);
}

void call_tree_expand(struct call_tree *tree, uint32_t node)
{
    if (tree->bottom_up)
        expand_bottom_up(tree, node);
    sort_children(tree, node);
}

/* The columns of stack_error that speak of the count. */
static const char *error_columns(enum measure count)
{
    return count == PEAK_ALLOCATIONS   ? "peak_variance, largest_block"
           : count == LIVE_ALLOCATIONS ? "live_variance, largest_block"
           : count == COPIES           ? "copies_variance, largest_copy"
                                       : "allocations_variance, largest_block";
}

static void load_entries(sqlite3 *database, const struct tree_query *query, struct call_tree *tree)
{
    char sql[320];
    const char *amount = measures[query->amount].name, *count = measures[query->count].name;
    int64_t rows = query_integer(database, "SELECT count(*) FROM stack_use");
    tree->entries = memory_new((size_t)rows + 1, sizeof *tree->entries);
    snprintf(sql, sizeof sql, "SELECT stack_id, %s, %s, %s FROM stack_use LEFT JOIN stack_error USING (stack_id) WHERE %s > 0 OR %s > 0", amount, count,
             error_columns(query->count), amount, count);
    sqlite3_stmt *row = query_prepare(database, sql);
    while (query_step(row)) {
        if (tree->entry_count == rows)
            continue;
        struct tree_entry entry = {stack_set_index(&tree->set, sqlite3_column_int64(row, 0)), sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2),
                                   {sqlite3_column_double(row, 3), sqlite3_column_double(row, 4)}};
        tree->entries[tree->entry_count++] = entry;
        tree->total_amount += entry.amount;
        tree->total_count += entry.count;
        tree_error_add(&tree->total_error, &entry.error);
    }
    tree->sampling_interval_bytes = query_sampling_interval(database);
    tree->knows_errors = count_errors_known(database);
}

/* All frames of the import system get one key, that of no frame: keys[0]. */
static void fold_imports(struct call_tree *tree, uint32_t key)
{
    tree->keys[0] = key;
    for (uint32_t i = 1; i < tree->set.frame_count; i++)
        if (tree->set.frames[i].origin && !strcmp(tree->set.frames[i].origin, "import"))
            tree->keys[i] = key;
}

static void begin_bottom_up(struct call_tree *tree, const uint8_t *found)
{
    if (found)
        move_to_function(tree, found);
    struct tree_node *root = &tree->nodes[0];
    root->entry_count = tree->entry_count;
    for (int64_t i = 0; i < tree->entry_count; i++) {
        root->amount += tree->entries[i].amount;
        root->count += tree->entries[i].count;
        tree_error_add(&root->error, &tree->entries[i].error);
    }
}

void call_tree_build(sqlite3 *database, const struct tree_query *query, struct call_tree *ret_tree)
{
    struct call_tree tree = {.bottom_up = query->bottom_up, .merges_runs = query->by == SET_BY_MODULE};
    uint32_t key_count;
    stack_set_load(database, &tree.set);
    if (query->folds)
        stack_set_fold_interpreter(&tree.set);
    tree.keys = stack_set_keys(database, &tree.set, query->by, &key_count);
    tree.keys[0] = key_count;
    if (query->folds)
        fold_imports(&tree, key_count);
    load_entries(database, query, &tree);
    uint8_t *found = query->function ? find_function(&tree, query->function) : NULL;
    add_node(&tree, 0, 0, key_count + 1);
    if (tree.bottom_up)
        begin_bottom_up(&tree, found);
    else
        build_top_down(&tree, found);
    free(found);
    *ret_tree = tree;
}

void call_tree_free(struct call_tree *tree)
{
    stack_set_free(&tree->set);
    free(tree->keys);
    free(tree->nodes);
    free(tree->entries);
    *tree = (struct call_tree){0};
}
