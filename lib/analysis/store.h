/* Writes a report database (schema.sql, schema_views.sql): everything that the replay found, in one transaction.
 *
 * Consumes a replay, its frames and its lines; fills an empty SQLite database. One thread. */
#ifndef HEAPLINE_ANALYSIS_STORE_H
#define HEAPLINE_ANALYSIS_STORE_H

#include <sqlite3.h>

#include "line_report.h"

/* The schema's number, as in schema.sql. */
#define STORE_SCHEMA_VERSION 1
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

/* Returns 0, STATUS_DATABASE (sqlite3_errmsg says why), STATUS_SYSTEM or STATUS_NO_MEMORY. */
int store_write(sqlite3 *database, const struct store_input *input);

#endif
