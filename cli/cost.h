/* --cost: what a stack is weighed by. */
#ifndef HEAPLINE_CLI_COST_H
#define HEAPLINE_CLI_COST_H

#include "line_rows.h"

struct cost {
    const char *name;
    enum measure amount, count;
    const char *text;
};

#define COST_COUNT 5
extern const struct cost costs[COST_COUNT];

/* NULL: the first, the peak. Another name than those: status 2. */
const struct cost *cost_parse(const char *command, const char *name);

#endif
