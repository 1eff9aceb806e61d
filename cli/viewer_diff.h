/* The data document of a page that compares two traces: one tree of the stacks of both, each node with what either used; the rows of
 * `heapline diff`; and of the old trace what stands beside the new one's: totals, timeline, leaks. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_DIFF_H
#define HEAPLINE_CLI_VIEWER_DIFF_H

#include "diff_rows.h"
#include "viewer_document.h"
#include "viewer_tree.h"

struct viewer_pair {
    const struct diff_side *sides;  /* opened with the interpreter's own frames */
    const struct diff_rows *rows;   /* by line */
    struct stack_set set;           /* of both; its texts are the sides' */
    struct viewer_pair_use *uses;   /* by its stack index */
    uint8_t *is_gone;               /* by its frame id: only the old trace has it */
};

/* Sides and rows must stay as long as the pair. */
void viewer_pair_init(struct viewer_pair *pair, const struct diff_side *sides, const struct diff_rows *rows);
void viewer_pair_done(struct viewer_pair *pair);

/* Writes the object of the comparison into the array that is open. */
void viewer_pair_write(const struct viewer_pair *pair, const struct viewer_choice *choice, const struct viewer_bounds *bounds, struct json *json);

#endif
