/* The rows of `heapline diff`: what each line, function, module or stack used on both sides, how much of the difference is noise, and in which
 * order. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_DIFF_ROWS_H
#define HEAPLINE_CLI_DIFF_ROWS_H

#include "attribution.h"
#include "cost.h"
#include "diff_match.h"
#include "diff_noise.h"

/* What rows are of. */
struct diff_rule {
    int by_stack;
    enum attribution by;   /* otherwise */
};

struct diff_row {
    const struct set_frame *frames[2]; /* what is credited on each side; NULL: nothing is */
    uint32_t stacks[2];                /* index: of its stacks the one with the most of the cost; by stack, it; SET_EMPTY: none */
    int64_t measures[2][MEASURE_COUNT];
    struct count_error errors[2];      /* of counts, where a side is a sample */
    double sample_variance[2];         /* of the cost, if it is bytes */
    double levels_variance, variance;
    double seen_blocks;                /* of samples: noise_seen_blocks of both sides */
    double significance, certain;      /* diff_noise.h */
    int64_t most[2];                   /* of stacks[] */
    int is_rest;                       /* of moments: what was freed before the end, of which no stack is known, and arena slack */
};

struct diff_rows {
    struct diff_row *rows;             /* sorted; only those with something on either side */
    int64_t count;
    const struct cost *of;
    struct diff_rule rule;
    struct diff_row total;
    struct noise_scatter scatter;
    int64_t edited_files;
};

enum diff_order { ORDER_SIGNIFICANCE, ORDER_DELTA, ORDER_GROWTH, ORDER_SHRINKAGE, ORDER_OLD, ORDER_NEW, ORDER_FILE, ORDER_FUNCTION };

void diff_rows_load(const struct diff_side *sides, struct diff_rule rule, const struct cost *of, enum diff_order order, int fold_imports,
                    struct diff_rows *ret_rows);
void diff_rows_free(struct diff_rows *rows);

static inline int64_t diff_row_delta(const struct diff_row *row, enum measure measure)
{
    return row->measures[1][measure] - row->measures[0][measure];
}

/* The frame to name the row by: the new side's, else the old one's. */
static inline const struct set_frame *diff_row_frame(const struct diff_row *row)
{
    return row->frames[1] ? row->frames[1] : row->frames[0];
}

/* Does the difference lie within the noise? */
static inline int diff_row_is_noise(const struct diff_row *row)
{
    return row->certain <= 0;
}

#endif
