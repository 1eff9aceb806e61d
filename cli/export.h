/* What an export is made of, and its writers: one a format. A writer streams to `out`, and leaves the check for write errors to export.c. */
#ifndef HEAPLINE_CLI_EXPORT_H
#define HEAPLINE_CLI_EXPORT_H

#include "line_rows.h"
#include "stack_set.h"

struct export {
    const struct reading *reading;
    sqlite3 *database;
    FILE *out;
    enum measure cost; /* of formats that hold one figure a stack */
    int is_folded;     /* without the interpreter's own frames */
};

void export_folded(const struct export *export);
void export_speedscope(const struct export *export);
void export_csv(const struct export *export);
void export_json(const struct export *export);

/* Calls visit with each stack that has some of `cost`, and its amount. */
void export_each_stack(const struct export *export, const struct stack_set *set, enum measure cost,
                       void (*visit)(void *context, uint32_t stack, int64_t amount), void *context);

/* The frame indexes of a stack, root first, at most `capacity` of the innermost ones; what belongs to no stack has its one row's. */
uint32_t export_frames(const struct stack_set *set, uint32_t stack, uint32_t *ret_frames, uint32_t capacity);

/* The longest stack there is. */
uint32_t export_max_depth(const struct stack_set *set);

#endif
