/* The replayed report of a trace, as a read-only SQLite database (lib/analysis/schema.sql, docs/report_database.md).
 * The first opening replays the trace; later ones find the database beside the trace (TRACE.report) or, where that folder cannot
 * be written, in the user's cache directory, and reuse it while size, modification time, inode and both ends of the trace are
 * unchanged and the schema version fits. One thread. The library never prints. */
#ifndef HEAPLINE_ANALYSIS_REPORT_DATABASE_H
#define HEAPLINE_ANALYSIS_REPORT_DATABASE_H

#include <sqlite3.h>

#include "status.h"
#include "symbolize.h"

/* Called some times a second with the share done, 0 to 1. NULL: silent. */
typedef void report_progress(void *context, double done);

struct report_open_options {
    report_progress *progress;
    void *progress_context;
    int rebuild;      /* replay again even if a cached database fits */
    int no_cache;     /* build in memory (or a deleted temporary file), leave nothing behind */
    struct symbol_sources symbols; /* where native frames get their names and lines from: also part of what a kept report is known by */
};

/* Open the report of the trace at `trace_path`. `options` may be NULL. The caller closes it with sqlite3_close.
 * A cut or damaged trace gives the report of its good part, its reason in summary.damage.
 * Returns 0, or what trace_reader_open returns, STATUS_DATABASE, STATUS_SYSTEM (detail->message says which file). */
int report_database_open(const char *trace_path, const struct report_open_options *options, sqlite3 **ret_database,
                         struct status_detail *detail);

/* A process of the same run, found from any of its traces. */
struct report_process {
    char *trace_path;
    uint32_t pid, parent_pid;
    char *command;
    char *unrecorded;        /* NULL, or why it was not recorded: then its trace says no more than this */
    uint64_t peak_bytes;
    uint64_t allocated_bytes, allocations, copied_bytes, live_bytes, lost_events; /* at the end; 0 without has_totals */
    uint64_t start_realtime_ns;
    int has_totals;          /* it has its end block, and is no sample */
    int complete;            /* has its end block */
    int exit_kind;           /* enum trace_end_reason */
    int exit_status;
};

/* All traces of the run that `trace_path` belongs to (itself first): PATH, PATH.PID, PATH.PID.N with the same session id.
 * Reads headers and end blocks only. Returns 0 or an error; the array is released with report_processes_free. */
int report_processes_find(const char *trace_path, struct report_process **ret_processes, uint32_t *ret_count,
                          struct status_detail *detail);
void report_processes_free(struct report_process *processes, uint32_t count);

#endif
