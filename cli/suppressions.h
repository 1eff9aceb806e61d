/* Leaks that are known and not to be reported: a file in LeakSanitizer's format.
 *
 * Each line is `leak:PATTERN`, a comment (#) or empty. A stack is suppressed if the pattern (name_pattern.h) matches the function, the
 * source file or the module of any frame on it; the first pattern of the file that does gets the credit.
 * Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_SUPPRESSIONS_H
#define HEAPLINE_CLI_SUPPRESSIONS_H

#include "reading.h"
#include "stack_set.h"

struct suppression {
    char *pattern;
    int64_t bytes, allocations, stacks; /* live at the end, that it suppressed */
};

struct suppressions {
    struct suppression *list;
    int count;
    struct suppression total; /* without a pattern */
    int *matches;             /* by frame: one more than the pattern; 0: not known yet */
};

extern const struct option_spec suppression_options[]; /* --suppressions */

/* NULL: none. Exits with status 3 where the file can't be read or a line isn't understood. */
void suppressions_load(const char *path, struct suppressions *ret_suppressions);
void suppressions_free(struct suppressions *suppressions);

/* The set of another trace follows: what is counted is counted on. */
void suppressions_begin_set(struct suppressions *suppressions);

/* Whether a stack, which holds so much at the end, is suppressed; then it is counted. Always ask with the same set, until the next begins. */
int suppressions_match(struct suppressions *suppressions, const struct stack_set *set, uint32_t stack_index, int64_t bytes, int64_t allocations);

/* "suppressed": {…}; nothing where there is no file. */
void suppressions_json(const struct suppressions *suppressions, struct json *json);
/* A paragraph; nothing where there is no file. `with_table`: each pattern that matched. */
void suppressions_print(const struct reading *reading, const struct suppressions *suppressions, int with_table);

#endif
