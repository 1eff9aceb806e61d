/* Writes ranges as columns: see viewer_ranges.h. */
#include "viewer_ranges.h"

#include <stdlib.h>

#include "range_report.h"

/* A column: one field of each of `count` rows that are `stride` bytes long. */
#define COLUMN(json, key, rows, count, field) \
    do { \
        json_array(json, key); \
        for (size_t i_ = 0; i_ < (size_t)(count); i_++) \
            json_integer(json, NULL, (int64_t)(rows)[i_].field); \
        json_array_end(json); \
    } while (0)

static void write_windows(const struct range_report *report, struct json *json)
{
    COLUMN(json, "window_end_ns", report->windows, report->window_count, end_time_ns);
    COLUMN(json, "heap_bytes", report->windows, report->window_count, heap_bytes);
    COLUMN(json, "end_slack_bytes", report->windows, report->window_count, slack_bytes);
    COLUMN(json, "peak_bytes", report->windows, report->window_count, peak_bytes);
    COLUMN(json, "peak_slack_bytes", report->windows, report->window_count, peak_slack_bytes);
    COLUMN(json, "small_copied_bytes", report->windows, report->window_count, small_copied_bytes);
    COLUMN(json, "small_copies", report->windows, report->window_count, small_copies);
}

static void write_report(const struct range_report *report, struct json *json)
{
    json_object(json, "ranges");
    write_windows(report, json);
    json_object(json, "use");
    COLUMN(json, "node", report->uses, report->use_count, group);
    COLUMN(json, "thread", report->uses, report->use_count, thread_id);
    json_object_end(json);
    json_object(json, "flow");
    COLUMN(json, "use", report->flows, report->flow_count, use);
    COLUMN(json, "window", report->flows, report->flow_count, window);
    COLUMN(json, "allocated_bytes", report->flows, report->flow_count, allocated_bytes);
    COLUMN(json, "allocations", report->flows, report->flow_count, allocations);
    COLUMN(json, "temporary_allocations", report->flows, report->flow_count, temporary_allocations);
    COLUMN(json, "copied_bytes", report->flows, report->flow_count, copied_bytes);
    COLUMN(json, "copies", report->flows, report->flow_count, copies);
    json_object_end(json);
    json_object(json, "kept");
    COLUMN(json, "use", report->kept, report->kept_count, use);
    COLUMN(json, "birth", report->kept, report->kept_count, birth);
    COLUMN(json, "death", report->kept, report->kept_count, death);
    COLUMN(json, "bytes", report->kept, report->kept_count, bytes);
    COLUMN(json, "count", report->kept, report->kept_count, count);
    json_object_end(json);
    json_object(json, "peak");
    COLUMN(json, "use", report->peaks, report->peak_count, use);
    COLUMN(json, "window", report->peaks, report->peak_count, window);
    COLUMN(json, "bytes", report->peaks, report->peak_count, bytes);
    COLUMN(json, "count", report->peaks, report->peak_count, count);
    json_object_end(json);
    json_object_end(json);
}

void viewer_ranges_write(const char *trace, const struct stack_set *set, const struct viewer_tree *tree, int window_count, int64_t duration_ns,
                         struct json *json)
{
    uint32_t count = set->id_count > SET_EMPTY ? (uint32_t)(set->id_count - SET_EMPTY) : 0;
    uint32_t *groups = calloc((size_t)count + 1, sizeof *groups);
    struct range_report *report = NULL;
    struct status_detail detail = {0};
    if (!groups)
        abort();
    for (uint32_t id = 0; id < count; id++)
        groups[id] = tree->node_of_stack[stack_set_index(set, id)];
    const struct range_request request = {groups, count, window_count, (uint64_t)duration_ns};
    if (duration_ns > 0 && !range_report_build(trace, &request, &report, &detail))
        write_report(report, json);
    else
        json_null(json, "ranges");
    range_report_free(report);
    free(groups);
}
