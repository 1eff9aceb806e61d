/* Columns of numbers in a page's document: those compress best and are read fastest. And the numbers that stand for words in them.
 * Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_COLUMNS_H
#define HEAPLINE_CLI_VIEWER_COLUMNS_H

#include "json.h"

/* Zeros; malloc'ed. */
int64_t *viewer_column_new(int64_t count);
void viewer_column_write(struct json *json, const char *key, const int64_t *values, int64_t count);

/* The numbers that the page knows a frame's kind and origin by (viewer/src/data.ts); -1: neither. */
int viewer_kind_number(const char *kind);
int viewer_origin_number(const char *origin);

#endif
