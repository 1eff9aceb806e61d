/* heapline lines --source: a file of the recorded program with its lines' figures beside the text. */
#ifndef HEAPLINE_CLI_SOURCE_H
#define HEAPLINE_CLI_SOURCE_H

#include "line_rows.h"

/* `wanted`: the recorded path, its end, or its base name. As text: the file, or only the surroundings of the query's `limit` largest
 * lines; with `json`: the file's name as "source", and "lines", the rows of that file with their "text". Exits with status 2 where no recorded file, or several, answer to the name. */
void source_annotate(const struct reading *reading, sqlite3 *database, const char *wanted, const struct line_query *query,
                     struct json *json);

/* The text of a recorded file, bundled or as it lies there now; malloc'ed. NULL: it cannot be read, is larger than `max_bytes`, or no text.
 * *ret_is_newer: it was changed after the program was recorded. */
char *source_text_copy(const struct reading *reading, sqlite3 *database, const char *recorded, int64_t max_bytes, int *ret_is_newer);

#endif
