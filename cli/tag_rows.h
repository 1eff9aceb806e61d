/* What was allocated under each tag (docs/tags.md), for `report`: the view `tags` of the report database. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_TAG_ROWS_H
#define HEAPLINE_CLI_TAG_ROWS_H

#include "reading.h"

/* A table of the largest ones; nothing where the program set no tags. */
void tag_rows_print(const struct reading *reading, sqlite3 *database, int64_t limit);

/* The array "tags", all of them. */
void tag_rows_json(sqlite3 *database, struct json *json);

#endif
