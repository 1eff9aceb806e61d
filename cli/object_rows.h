/* The last survey of the Python objects that a trace holds (docs/objects.md): types of the surviving objects by line, and what keeps some of them
 * alive. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_OBJECT_ROWS_H
#define HEAPLINE_CLI_OBJECT_ROWS_H

#include "reading.h"

struct object_type_row {
    char *type;
    int64_t objects; /* 0: only blocks that belong to objects of the type */
    int64_t bytes;
};

struct object_line {
    int64_t frame_id;
    char *file, *function, *origin; /* as in `frame` */
    int64_t line;
    int64_t objects, bytes;
    struct object_type_row *types;  /* most bytes first */
    int64_t type_count;
};

struct object_rows {
    int64_t survey_id; /* -1: there has been none */
    int64_t time_ns, pause_ns, objects, unreached_objects, recorded_objects, recorded_bytes;
    char *outcome;
    struct object_line *lines; /* most bytes first */
    int64_t line_count;
};

void object_rows_load(sqlite3 *database, struct object_rows *ret_rows);
void object_rows_free(struct object_rows *rows);
/* NULL: no object was surveyed that was allocated there, or there is no survey. */
const struct object_line *object_rows_find(const struct object_rows *rows, const char *file, int64_t line);

/* The same of the line that a stack is credited to. */
const struct object_line *object_rows_of_stack(const struct object_rows *rows, sqlite3 *database, int64_t stack_id);

/* "dict 1.2M, Session 400k": the types that matter, as many as fit. */
void object_types_text(const struct object_line *line, char *text, size_t size);
/* "types": [...], all; NULL: empty. */
void object_types_json(const struct object_line *line, struct json *json);

/* ---- what keeps them alive (object_paths.c) ---- */

/* A line a path, indented, equal ones once: at most `limit` (0: all) of those that were followed from objects of this line. Returns how many. */
int64_t object_paths_print(const struct reading *reading, sqlite3 *database, int64_t frame_id, int indent, int64_t limit);
/* "paths": [...]. */
void object_paths_json(sqlite3 *database, int64_t frame_id, struct json *json);

#endif
