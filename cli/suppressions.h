/* Leaks that are known and not to be reported: a file in LeakSanitizer's format.
 *
 * Each line is `leak:PATTERN`, a comment (#) or empty. A stack is suppressed if the pattern (name_pattern.h) matches the function, the
 * source file or the module of any frame on it; the first pattern of the file that does gets the credit.
 * Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_SUPPRESSIONS_H
#define HEAPLINE_CLI_SUPPRESSIONS_H

#include "leak_rows.h"

struct suppression {
    char *pattern;
    int64_t bytes, allocations, stacks; /* that it suppressed */
};

struct suppressions {
    struct suppression *list;
    int count;
    struct suppression total; /* without a pattern */
};

extern const struct option_spec suppression_options[]; /* --suppressions */

/* NULL: none. Exits with status 3 where the file can't be read or a line isn't understood. */
void suppressions_load(const char *path, struct suppressions *ret_suppressions);
void suppressions_free(struct suppressions *suppressions);

/* Takes what is suppressed out of the rows, and counts it. */
void suppressions_apply(struct suppressions *suppressions, sqlite3 *database, struct leak_rows *rows);

/* "suppressed": {…}; nothing where there is no file. */
void suppressions_json(const struct suppressions *suppressions, struct json *json);
/* A paragraph; nothing where there is no file. `with_table`: each pattern that matched. */
void suppressions_print(const struct reading *reading, const struct suppressions *suppressions, int with_table);

#endif
