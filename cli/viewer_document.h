/* The data document of the viewer's page: one JSON document of columns, of one process or several (viewer/src/data.ts lists its fields).
 * Consumes report databases; writes to a stream. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_DOCUMENT_H
#define HEAPLINE_CLI_VIEWER_DOCUMENT_H

#include "summary.h"
#include "viewer_ranges.h"

/* How much of a trace a page may hold. */
struct viewer_bounds {
    uint32_t node_count;
    int64_t line_count;
    int64_t source_bytes;   /* of all files */
    int window_count;       /* ranges are known to so many parts of the run */
};

struct viewer_choice {
    int no_source;                          /* leave the text of sources out */
    const struct text_list *confidential;   /* patterns of files whose text is left out */
};

/* Writes the object of one process into the array that is open. `run`: when it and the page's other processes ran; NULL: there are no others. */
void viewer_document_process(const struct reading *reading, sqlite3 *database, const struct viewer_choice *choice, const struct viewer_run *run,
                             const struct viewer_bounds *bounds, struct json *json);

/* Its parts that a comparison has twice: "summary" and "warnings", "timeline", "leaks". */
void viewer_document_summary(const struct reading *reading, const struct summary *summary, struct json *json);
void viewer_document_timeline(sqlite3 *database, struct json *json);
void viewer_document_leaks(const struct reading *reading, sqlite3 *database, struct json *json);

#endif
