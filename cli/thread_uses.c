/* Asks the trace for one range, all of the run, with each stack in a group of its own: see thread_uses.h. */
#include "thread_uses.h"

#include <stdlib.h>

#include "memory.h"
#include "range_report.h"

static int compare_uses(const void *a, const void *b)
{
    const struct thread_use *left = a, *right = b;
    if (left->stack_id != right->stack_id)
        return left->stack_id < right->stack_id ? -1 : 1;
    return (left->thread_id > right->thread_id) - (left->thread_id < right->thread_id);
}

static void fill(const struct range_report *report, struct thread_use *rows)
{
    for (size_t i = 0; i < report->use_count; i++)
        rows[i] = (struct thread_use){.stack_id = report->uses[i].group, .thread_id = report->uses[i].thread_id};
    for (size_t i = 0; i < report->flow_count; i++) {
        rows[report->flows[i].use].allocations += (int64_t)report->flows[i].allocations;
        rows[report->flows[i].use].allocated_bytes += (int64_t)report->flows[i].allocated_bytes;
    }
    for (size_t i = 0; i < report->kept_count; i++) { /* of one window: what is live at its end */
        rows[report->kept[i].use].live_allocations += report->kept[i].count;
        rows[report->kept[i].use].live_bytes += report->kept[i].bytes;
    }
    for (size_t i = 0; i < report->use_count; i++) {
        rows[i].peak_allocations = rows[i].live_allocations;
        rows[i].peak_bytes = rows[i].live_bytes;
    }
    for (size_t i = 0; i < report->peak_count; i++) { /* less what is live at its end */
        rows[report->peaks[i].use].peak_allocations += report->peaks[i].count;
        rows[report->peaks[i].use].peak_bytes += report->peaks[i].bytes;
    }
}

void thread_uses_load(const char *trace, sqlite3 *database, const struct summary *summary, struct thread_uses *ret_uses)
{
    struct range_report *report = NULL;
    *ret_uses = (struct thread_uses){0};
    int64_t stack_count = query_integer(database, "SELECT coalesce(max(stack_id), 0) FROM stack_use") + 1;
    const uint64_t end_ns = (uint64_t)summary->duration_ns;
    int lists_all = summary->stream_end_ns < 0 && summary->events_from_ns <= 0;
    if (!end_ns || !lists_all || stack_count <= 0 || stack_count > INT32_MAX || query_integer(database, "SELECT count(*) FROM thread") < 2)
        return;
    uint32_t *groups = memory_new((size_t)stack_count, sizeof *groups);
    for (int64_t i = 0; i < stack_count; i++)
        groups[i] = (uint32_t)i;
    const struct range_request request = {groups, (uint32_t)stack_count, 1, &end_ns};
    if (!range_report_build(trace, &request, &report, NULL)) {
        ret_uses->count = report->use_count;
        ret_uses->rows = memory_new(report->use_count + 1, sizeof *ret_uses->rows);
        fill(report, ret_uses->rows);
        qsort(ret_uses->rows, ret_uses->count, sizeof *ret_uses->rows, compare_uses);
    }
    range_report_free(report);
    free(groups);
}

void thread_uses_free(struct thread_uses *uses)
{
    free(uses->rows);
    *uses = (struct thread_uses){0};
}

size_t thread_uses_of(const struct thread_uses *uses, int64_t stack_id, const struct thread_use **ret_rows)
{
    size_t low = 0, high = uses->count, end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((int64_t)uses->rows[middle].stack_id < stack_id)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < uses->count && (int64_t)uses->rows[end].stack_id == stack_id; end++)
        ;
    *ret_rows = uses->rows + low;
    return end - low;
}
