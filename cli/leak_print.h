/* The entries of `heapline leaks`, as text. */
#ifndef HEAPLINE_CLI_LEAK_PRINT_H
#define HEAPLINE_CLI_LEAK_PRINT_H

#include "leak_rows.h"
#include "stack_rows.h"

/* A leak with all its lines, of which this is the first, or a row that holds memory and isn't reported: figures, evidence, what a survey found, and the largest
 * stack. */
void leak_print_entry(const struct reading *reading, const struct leak_rows *rows, const struct leak_row *row, struct stack_walker *walker);

#endif
