/* Writes ranges as columns: see viewer_ranges.h. */
#include "viewer_ranges.h"

#include <stdlib.h>

#include "memory.h"
#include "range_report.h"

/* A column: one field of each of `count` rows that are `stride` bytes long. */
#define COLUMN(json, key, rows, count, field) \
    do { \
        json_array(json, key); \
        for (size_t i_ = 0; i_ < (size_t)(count); i_++) \
            json_integer(json, NULL, (int64_t)(rows)[i_].field); \
        json_array_end(json); \
    } while (0)

/* Where the trace lists events. */
struct listed {
    int64_t start_ns, end_ns;
};

static struct listed listed_of(const struct summary *summary)
{
    return (struct listed){summary->events_from_ns, summary->stream_end_ns >= 0 ? summary->stream_end_ns : summary->duration_ns};
}

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

/* run_parts: windows meet where so many equal parts of the run do; 0: of no run. */
static void write_report(const struct range_report *report, const struct listed *listed, int run_parts, struct json *json)
{
    json_object(json, "ranges");
    json_integer(json, "start_ns", listed->start_ns);
    json_integer(json, "run_parts", run_parts);
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

/* The end of part `i` of `count` of a time, without its product's overflow. */
static int64_t part_end(int64_t duration_ns, int i, int count)
{
    return (int64_t)((__int128)duration_ns * (i + 1) / count);
}

/* The ends of the run's parts that lie within what is listed, in the process's own time, and the end of that; each piece between them is cut into
 * equal windows, at most `count` in all. Returns how many. */
static int cut_windows(const struct listed *listed, const struct viewer_run *run, int64_t offset_ns, int count, uint64_t *ret_ends)
{
    int64_t ends[RANGE_MAX_WINDOWS + 1], start_ns = listed->start_ns;
    int piece_count = 0, window_count = 0;
    for (int i = 0; run && i + 1 < count; i++) {
        int64_t end_ns = part_end(run->duration_ns, i, count) - offset_ns;
        if (end_ns > listed->start_ns && end_ns < listed->end_ns)
            ends[piece_count++] = end_ns;
    }
    ends[piece_count++] = listed->end_ns;
    for (int piece = 0; piece < piece_count; start_ns = ends[piece++])
        for (int i = 0; i < count / piece_count; i++)
            ret_ends[window_count++] = (uint64_t)(start_ns + part_end(ends[piece] - start_ns, i, count / piece_count));
    return window_count;
}

void viewer_ranges_write(const char *trace, const struct summary *summary, const struct viewer_run *run, const struct stack_set *set,
                         const struct viewer_tree *tree, int window_count, struct json *json)
{
    uint32_t count = set->id_count > SET_EMPTY ? (uint32_t)(set->id_count - SET_EMPTY) : 0;
    uint32_t *groups = memory_new((size_t)count + 1, sizeof *groups);
    uint64_t ends[RANGE_MAX_WINDOWS];
    struct range_report *report = NULL;
    struct status_detail detail = {0};
    const struct listed listed = listed_of(summary);
    for (uint32_t id = 0; id < count; id++)
        groups[id] = tree->node_of_stack[stack_set_index(set, id)];
    struct range_request request = {.groups = groups, .stack_count = count, .end_times_ns = ends};
    request.window_count = cut_windows(&listed, run, run ? summary->start_realtime_ns - run->start_realtime_ns : 0, window_count, ends);
    if (listed.end_ns > listed.start_ns && !range_report_build(trace, &request, &report, &detail))
        write_report(report, &listed, run ? window_count : 0, json);
    else
        json_null(json, "ranges");
    range_report_free(report);
    free(groups);
}
