/* What a page needs to answer for any range of time: range_report.h by node and thread. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_RANGES_H
#define HEAPLINE_CLI_VIEWER_RANGES_H

#include "json.h"
#include "stack_set.h"
#include "summary.h"
#include "viewer_tree.h"

/* When the processes of a page ran: the first began, and the last ended so much later. */
struct viewer_run {
    int64_t start_realtime_ns, duration_ns;
};

/* "ranges": null where the trace has no time or isn't where it was. The parts are cut so that those of all processes of a run meet where one of
 * its `window_count` parts ends and the next begins; `run` NULL: of a process alone. */
void viewer_ranges_write(const char *trace, const struct summary *summary, const struct viewer_run *run, const struct stack_set *set,
                         const struct viewer_tree *tree, int window_count, struct json *json);

#endif
