/* Writes a report database (schema.sql, schema_views.sql): everything that the replay found.
 *
 * Consumes a replay, its frames and its lines; makes an SQLite database file. One thread. */
#ifndef HEAPLINE_ANALYSIS_STORE_H
#define HEAPLINE_ANALYSIS_STORE_H

#include "line_report.h"

/* The schema's number, as in schema.sql. */
#define STORE_SCHEMA_VERSION 8
#define STORE_ENDLESS_PROPERTY "endless" /* there is no end block: nobody counted what is missing */
#define STORE_HISTORY_PROPERTY "events_from_ns" /* of a rotated trace: before that it holds only sums, exact ones */
/* Of a sample: the tables stack_error, line_error and line_error_inclusive say how far counts may be from the truth. */
#define STORE_COUNT_ERRORS_PROPERTY "count_errors"
/* PRAGMA application_id of a report. */
#define STORE_APPLICATION_ID 0x48454150

/* The property that a cached report is recognised by. */
#define STORE_KEY_PROPERTY "report.key"

struct store_input {
    struct replay *replay; /* its window log is read; nothing else changes */
    const struct frame_table *frames;
    const struct line_report *lines;
    const char *cache_key; /* becomes that property; NULL: none */
};

/* Fill the empty file at `path`, which nobody else has open. Returns 0, STATUS_DATABASE, STATUS_SYSTEM or STATUS_NO_MEMORY, with the
 * reason in detail. */
int store_write(const char *path, const struct store_input *input, struct status_detail *detail);

#endif
