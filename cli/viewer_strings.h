/* The texts that a page's document names by number: each once. 0: none. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_VIEWER_STRINGS_H
#define HEAPLINE_CLI_VIEWER_STRINGS_H

#include "json.h"

struct viewer_strings {
    char **texts;     /* from 1 */
    uint32_t *table;  /* open addressing; 0: free */
    uint32_t count, mask;
};

void viewer_strings_init(struct viewer_strings *strings);
void viewer_strings_done(struct viewer_strings *strings);

/* NULL: 0. */
uint32_t viewer_string(struct viewer_strings *strings, const char *text);

/* "strings", and "short": how a reader recognises those that are paths (paths.h), by number. */
void viewer_strings_write(const struct viewer_strings *strings, const char *directory, struct json *json);

#endif
