/* Where finished reports are kept, and how one is recognised as that of a trace as it is now.
 *
 * Two places: beside the trace (TRACE.report), and the user's cache directory, for folders that cannot be written. A report is
 * written under a temporary name and renamed, so that another process sees a whole one or none. One thread; allocates little. */
#ifndef HEAPLINE_ANALYSIS_REPORT_CACHE_H
#define HEAPLINE_ANALYSIS_REPORT_CACHE_H

#include <limits.h>
#include <sqlite3.h>

#include "status.h"
#include "symbolize.h"

#define REPORT_CACHE_PLACES 2

struct report_key {
    char text[288];  /* equal texts: the same trace, to be reported in the same way */
    int being_written; /* the collector still holds its lock: what is reported now is not the end of it */
};

/* Returns 0 or STATUS_SYSTEM. */
int report_key_read(const char *trace_path, const struct symbol_sources *symbols, struct report_key *ret_key);

/* The report's path in a place, 0 to REPORT_CACHE_PLACES - 1. Returns 0, or STATUS_SYSTEM where there is no such place. */
int report_cache_path(const char *trace_path, int place, char path[PATH_MAX]);

/* Open a report for reading if it is whole and fits the key. Returns 0 or STATUS_DATABASE. */
int report_cache_open(const char *report_path, const char *key, sqlite3 **ret_database);

/* Begin to write a report: create `temporary_path`, to be renamed to `report_path` when it is complete. Makes the user's cache
 * directory if need be. Never touches a file that isn't a report. Returns 0 or STATUS_SYSTEM. */
int report_cache_create(const char *trace_path, const char *report_path, char temporary_path[PATH_MAX]);

#endif
