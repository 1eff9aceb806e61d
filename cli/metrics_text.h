/* What heapline metrics tells of a running process, in Prometheus's text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4). One thread; allocates. */
#ifndef HEAPLINE_CLI_METRICS_TEXT_H
#define HEAPLINE_CLI_METRICS_TEXT_H

#include <stdio.h>

#include "live_follow.h"
#include "live_model.h"
#include "reading.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_source {
    const struct reading *reading;
    struct live_model *model;       /* its order is that of the latest live_model_sort */
    pid_t pid;
    enum follow_state state;
    uint32_t line_limit;            /* lines that get series of their own; what the others hold is summed up in one */
};

void metrics_text_write(const struct metrics_source *source, FILE *out);

#endif
