/* --by: which frame of a stack is credited with what the stack used.
 *
 * line      the innermost Python line, else the innermost native one (the report database's own rule)
 * function  the function of that line: its lines are one row
 * python    the innermost Python line; stacks without one by the rule for `line`
 * native    the innermost native frame below the Python line, by line, or by function and module where it has none; frames of the C and C++
 *           runtime (strdup, operator new) and library code compiled into the program (std::vector, Rust's Vec) count for their callers,
 *           where there are any
 * module    the executable or library of that native frame; the source file where a stack has no native frame
 * tag       the innermost tag (docs/tags.md)
 *
 * --tag: only stacks under this tag. */
#ifndef HEAPLINE_CLI_ATTRIBUTION_H
#define HEAPLINE_CLI_ATTRIBUTION_H

#include "reading.h"
#include "stack_set.h"

enum attribution { ATTRIBUTE_LINE, ATTRIBUTE_FUNCTION, ATTRIBUTE_PYTHON, ATTRIBUTE_NATIVE, ATTRIBUTE_MODULE, ATTRIBUTE_TAG };

/* Of reading.by. Exits with status 2 for an unknown word. */
enum attribution attribution_parse(const struct reading *reading);
const char *attribution_name(enum attribution by);
/* A table's heading, "By line"; that of the column of places; what one row is. */
const char *attribution_title(enum attribution by);
const char *attribution_column(enum attribution by);
const char *attribution_noun(enum attribution by);

/* From here on the tables line_use, line_stack and, if asked for, line_use_inclusive that this connection sees are by that rule.
 * With reading->tag they and stack_use hold that tag's stacks only; exits with status 2 where there are none.
 * Reads every stack; nothing to do for ATTRIBUTE_LINE without a tag. */
void attribution_apply(const struct reading *reading, sqlite3 *database, enum attribution by, int inclusive);

/* By stack index of the set: the frame that the rule credits. malloc'ed. */
uint32_t *attribution_frames(const struct stack_set *set, enum attribution by);

#endif
