/* Stands in for lib/analysis in the tests of the command line: the "trace" is itself a report database, filled by hand
 * (hand_database.py), and the run has two processes. */
#include "report_database.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "range_report.h"
#include "symbol_bundle.h"
#include "trace_event.h"

int report_database_open(const char *trace_path, const struct report_open_options *options, sqlite3 **ret_database,
                         struct status_detail *detail)
{
    if (access(trace_path, R_OK))
        return STATUS_SYSTEM;
    return sqlite3_open_v2(trace_path, ret_database, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK ? 0 : STATUS_DATABASE;
}

int report_processes_find(const char *trace_path, struct report_process **ret_processes, uint32_t *ret_count, struct status_detail *detail)
{
    struct report_process *processes = calloc(2, sizeof *processes);
    if (!processes)
        return STATUS_NO_MEMORY;
    processes[0] = (struct report_process){.trace_path = strdup("batch.heapline"), .pid = 4242, .parent_pid = 4200, .complete = 1,
                                           .command = strdup("python3 batch.py --all"), .peak_bytes = 40 << 20, .has_totals = 1,
                                           .allocated_bytes = 90 << 20, .allocations = 5000, .copied_bytes = 7 << 20, .live_bytes = 3 << 20,
                                           .exit_kind = TRACE_END_EXIT, .exit_status = 0};
    processes[1] = (struct report_process){.trace_path = strdup("batch.heapline.4250"), .pid = 4250, .parent_pid = 4242,
                                           .command = strdup("gzip -9"), .peak_bytes = 3 << 19, .has_totals = 1,
                                           .allocated_bytes = 2 << 20, .allocations = 40, .lost_events = 3, .start_realtime_ns = 1,
                                           .exit_kind = TRACE_END_SIGNAL, .exit_status = 9};
    *ret_processes = processes;
    *ret_count = 2;
    return 0;
}

void report_processes_free(struct report_process *processes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(processes[i].trace_path);
        free(processes[i].command);
    }
    free(processes);
}

int symbol_bundle_write(const char *trace_path, int to, const struct symbol_sources *sources, int without_sources,
                        struct symbol_bundle_figures *ret_figures, struct status_detail *detail)
{
    (void)trace_path, (void)to, (void)sources, (void)without_sources, (void)ret_figures, (void)detail;
    return STATUS_NOT_A_TRACE;
}

/* A database that was filled by hand has no events. */
int range_report_build(const char *trace_path, const struct range_request *request, struct range_report **ret_report, struct status_detail *detail)
{
    return STATUS_END;
}

void range_report_free(struct range_report *report)
{
}
