/* The texts of source files that a page carries: of the files with the largest figures, the program's own first. */
#ifndef HEAPLINE_CLI_VIEWER_SOURCES_H
#define HEAPLINE_CLI_VIEWER_SOURCES_H

#include "viewer_document.h"

/* "sources": an array of the files that lines are in; each with "file" and "text", or "absent": why there is none. */
void viewer_sources_write(const struct reading *reading, sqlite3 *database, const struct viewer_choice *choice, int64_t max_bytes,
                          struct json *json);

#endif
