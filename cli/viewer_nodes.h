/* The tree of stacks in a page's document: its frames, its nodes, and what was folded. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_NODES_H
#define HEAPLINE_CLI_VIEWER_NODES_H

#include "viewer_strings.h"
#include "viewer_tree.h"

/* "frames", "nodes" and "folded". Of two traces that are compared, `is_gone` says by frame id which frames only the old one has; else NULL. */
void viewer_nodes_write(const struct stack_set *set, const struct viewer_tree *tree, const uint8_t *is_gone, struct viewer_strings *strings,
                        struct json *json);

#endif
