/* What a page needs to answer for any range of time: range_report.h by node and thread. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_RANGES_H
#define HEAPLINE_CLI_VIEWER_RANGES_H

#include "json.h"
#include "stack_set.h"
#include "viewer_tree.h"

/* "ranges": null where the trace doesn't tell (range_report_build), or isn't where it was. */
void viewer_ranges_write(const char *trace, const struct stack_set *set, const struct viewer_tree *tree, int window_count, int64_t duration_ns,
                         struct json *json);

#endif
