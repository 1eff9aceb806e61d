/* The tree of stacks that the viewer's page is given: stacks of the same frames are one node, and what is small is folded.
 *
 * A node is a path of frames from the root. With more nodes than the page should hold, those stay that have the largest share of anything
 * (of what is live at the peak, at the end, allocated, temporary, copied), and each of the others is counted in a node without a frame below the
 * nearest caller that stayed: sums stay exact. Of two traces that are compared, nodes also have what the old one used, and what differs
 * decides as well. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_TREE_H
#define HEAPLINE_CLI_VIEWER_TREE_H

#include "line_rows.h"
#include "stack_set.h"

struct viewer_node {
    uint32_t parent;       /* always the lower number; the root is 0 and its own parent */
    uint32_t frame;        /* 0: the root, or what is folded below its parent */
    uint32_t line_frame;   /* the one that `lines` credits */
    uint32_t folded_count; /* of a folded node: stacks in it */
    int is_interpreter;    /* the interpreter's own frame in a stack of Python */
    int64_t self[MEASURE_COUNT];
};

struct viewer_tree {
    struct viewer_node *nodes;
    uint32_t node_count;
    uint32_t *node_of_stack;  /* by the set's index: where the stack itself is counted */
    int64_t stack_count;      /* that have any figure */
    int64_t folded_stacks;
    int64_t folded[MEASURE_COUNT];
    int64_t (*old)[MEASURE_COUNT]; /* by node: self of the other trace; NULL: none is compared */
};

/* By stack index: what the old and the new trace used. */
struct viewer_pair_use {
    int64_t measures[2][MEASURE_COUNT];
};

/* At most `max_nodes`, and those for what is folded. */
void viewer_tree_build(sqlite3 *database, const struct stack_set *set, uint32_t max_nodes, struct viewer_tree *ret_tree);
/* Of the stacks of two traces. */
void viewer_tree_build_pair(const struct stack_set *set, const struct viewer_pair_use *uses, uint32_t max_nodes, struct viewer_tree *ret_tree);
void viewer_tree_free(struct viewer_tree *tree);

#endif
