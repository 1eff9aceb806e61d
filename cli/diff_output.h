/* What `heapline diff` prints and writes (diff_print.c, diff_write.c). */
#ifndef HEAPLINE_CLI_DIFF_OUTPUT_H
#define HEAPLINE_CLI_DIFF_OUTPUT_H

#include "diff_rows.h"
#include "stack_rows.h"

/* Both traces, the totals, what grew and what shrank; at most `limit` rows (0: all, with those within the noise). */
void diff_print(const struct reading *reading, const struct diff_side *sides, const struct diff_rows *rows, int64_t limit);

/* The document, up to its closing brace. */
void diff_write_json(struct json *json, const struct diff_side *sides, const struct diff_rows *rows, int64_t limit);
/* A row a line (RFC 4180). */
void diff_write_csv(FILE *out, const struct diff_side *sides, const struct diff_rows *rows, int64_t limit);
/* A line a stack with both figures, as flamegraph.pl reads them for a red and blue graph. Rows are stacks. */
void diff_write_folded(FILE *out, const struct diff_side *sides, const struct diff_rows *rows);

/* A stack of a side, innermost frame first. Valid until the side is closed; `frames` is the caller's to free. */
struct stack_frames diff_stack_frames(const struct diff_side *side, uint32_t stack);
/* What the figures are: "live at the peak"; of moments and snapshots "live". */
const char *diff_subject(const struct diff_side *sides, const struct diff_rows *rows);
/* "new", "gone", "grew", "shrank", "noise", "same". */
const char *diff_row_status(const struct diff_rows *rows, const struct diff_row *row);
/* What a row without a frame is. */
const char *diff_row_name(const struct diff_row *row);

#endif
