/* Which nodes of a call tree are shown, and how: the largest ones first until there are enough, never without their parents.
 * Printed as text with what is left out summed up, or written as JSON. */
#ifndef HEAPLINE_CLI_TREE_VIEW_H
#define HEAPLINE_CLI_TREE_VIEW_H

#include "call_tree.h"

struct tree_view {
    const struct reading *reading;
    struct call_tree *tree;
    const struct tree_query *query;
    double threshold;   /* least share of the total, 0 to 1 */
    int64_t limit;      /* nodes; 0: all. What follows its parent in a straight line is not counted */
    uint8_t *shown;     /* by node */
    uint32_t shown_count; /* of nodes that `shown` has room for */
    int64_t left_out;   /* nodes that exist, and are not shown */
};

/* Fills `shown`, `shown_count` and `left_out`; the rest is given. */
void tree_view_select(struct tree_view *view);
void tree_view_free(struct tree_view *view);

void tree_view_print(const struct tree_view *view);
/* "nodes": [...], parents before their children. */
void tree_view_json(const struct tree_view *view, struct json *json);

/* "interval_95": of a node's figures, or of the whole's, into the object that is open; nothing where they are exact. */
void tree_view_intervals_json(const struct tree_view *view, int64_t amount, int64_t count, const struct tree_error *error, struct json *json);
/* Returns 0: the count is exact, or nobody knows. */
int tree_view_count_interval(const struct tree_view *view, int64_t count, const struct tree_error *error, struct estimate_interval *ret_interval);

/* Of the nodes that are shown: the first child, the next sibling; 0: none. */
uint32_t tree_view_child(const struct tree_view *view, uint32_t node);
uint32_t tree_view_sibling(const struct tree_view *view, uint32_t node);

#endif
