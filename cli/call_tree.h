/* Stacks merged into a tree: callers first (top-down), innermost frame first (bottom-up), or only what a function calls, or what calls it.
 *
 * node       a place and the way there from the root; all stacks that begin with that way count for it
 * self       of the stacks that end at a top-down node: what it used itself, not through what it calls
 * Bottom-up trees are built as far as they are asked for: each node keeps the stacks that pass through it until it is expanded.
 * Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_CALL_TREE_H
#define HEAPLINE_CLI_CALL_TREE_H

#include "line_rows.h"
#include "stack_set.h"

/* Of a sample: the variance of a count, and the most that one block added to it (count_error.h). */
struct tree_error {
    double variance, largest;
};

struct tree_node {
    uint32_t parent, first_child, next_sibling; /* children: the largest first; 0: none (0 is the root) */
    uint32_t frame;                             /* one of the place's frames; 0: the root */
    uint32_t key;
    int64_t amount, count;                      /* bytes and blocks; where the measure is a count, both are that count */
    int64_t self_amount, self_count;
    struct tree_error error, self_error;        /* of `count`, `self_count` */
    int64_t first_entry, entry_count;           /* bottom-up and not expanded yet: its stacks */
};

struct tree_entry {
    uint32_t cursor; /* the frame that comes next: a stack's index */
    int64_t amount, count;
    struct tree_error error;
};

struct call_tree {
    struct stack_set set;
    uint32_t *keys;      /* by frame id */
    int bottom_up;
    int merges_runs;     /* frames of the same place that follow each other are one node: modules */
    struct tree_node *nodes;
    uint32_t node_count, node_capacity;
    struct tree_entry *entries;
    int64_t entry_count;
    int64_t total_amount, total_count; /* of the whole process, whatever the tree leaves out */
    struct tree_error total_error;
    int64_t sampling_interval_bytes;   /* 0: figures are exact */
    int knows_errors;                  /* of counts, where they aren't */
};

struct tree_query {
    enum measure amount, count;
    enum set_key by;
    int bottom_up;
    const char *function; /* NULL: all; else the tree begins where it is on the stack, the outermost time */
    int folds;            /* runs of frames of the import system are one place, the interpreter's own frames are none */
};

void call_tree_build(sqlite3 *database, const struct tree_query *query, struct call_tree *ret_tree);
void call_tree_free(struct call_tree *tree);

void tree_error_add(struct tree_error *sum, const struct tree_error *error);

/* Its children from now on exist. */
void call_tree_expand(struct call_tree *tree, uint32_t node);

#endif
