/* What an export is made of, and its writers: one a format. A writer streams to `out`, and leaves the check for write errors to export.c. */
#ifndef HEAPLINE_CLI_EXPORT_H
#define HEAPLINE_CLI_EXPORT_H

#include "cost.h"
#include "stack_set.h"
#include "summary.h"
#include "viewer_page.h"

struct export_process {
    const char *trace;
    sqlite3 *database;
};

struct export {
    const struct reading *reading;
    sqlite3 *database;      /* of the trace that was named */
    struct summary summary; /* its totals */
    FILE *out;
    const struct cost *cost; /* of formats that hold one figure a stack */
    int is_folded;     /* without the interpreter's own frames */
    const struct export_process *processes; /* of formats that tell processes apart: the one that was named comes first */
    uint32_t process_count;
    struct viewer_choice viewer; /* of html */
};

void export_folded(const struct export *export);
void export_flamegraph(const struct export *export);
void export_speedscope(const struct export *export);
void export_pprof(const struct export *export);
void export_parquet(const struct export *export);
void export_memory_profiler(const struct export *export);
void export_openmetrics(const struct export *export);
void export_csv(const struct export *export);
void export_html(const struct export *export);
void export_json(const struct export *export);

/* The stacks of a database, without the interpreter's own frames where the export is folded. */
void export_load_stacks(const struct export *export, sqlite3 *database, struct stack_set *ret_set);

/* Calls visit with each stack that has some of `cost`, and its amount. */
void export_each_stack(const struct export *export, const struct stack_set *set, enum measure cost,
                       void (*visit)(void *context, uint32_t stack, int64_t amount), void *context);

/* The frame indexes of a stack, root first, at most `capacity` of the innermost ones; what belongs to no stack has its one row's. */
uint32_t export_frames(const struct stack_set *set, uint32_t stack, uint32_t *ret_frames, uint32_t capacity);
/* Frames of the deepest stack, at least 1. */
uint32_t export_max_depth(const struct stack_set *set);

/* What a reader of an exported file must know, as the reports say it: sampled, killed, damaged, events lost. A sentence each, malloc'ed.
 * Returns how many. */
#define EXPORT_MAX_NOTES 4
int export_notes(const struct export *export, char **ret_notes);

#endif
