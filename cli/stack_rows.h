/* Stacks with what they held or copied: walked in the report database frame by frame, innermost first, printed folded or as JSON.
 * Memory: one stack at a time. */
#ifndef HEAPLINE_CLI_STACK_ROWS_H
#define HEAPLINE_CLI_STACK_ROWS_H

#include "line_rows.h"

struct stack_frame {
    char *kind, *function, *file, *module, *origin; /* as in the table `frame`; NULL where it is NULL there */
    int64_t line;
};

struct stack_frames {
    struct stack_frame *frames; /* innermost first */
    int count;
    int python_count, python_end; /* of Python frames; behind the outermost of them */
};

/* Walks stacks of one database: keeps a prepared statement. */
struct stack_walker {
    sqlite3_stmt *step;
    struct stack_frames frames; /* of the last stack; valid until the next call */
};
void stack_walker_init(struct stack_walker *walker, sqlite3 *database);
void stack_walker_done(struct stack_walker *walker);
const struct stack_frames *stack_walk(struct stack_walker *walker, int64_t stack_id);

/* "frames": [...] of the row object that is open. */
void stack_frames_json(const struct stack_frames *frames, struct json *json);
/* One line a frame, indented; runs of import and library frames as one line each unless --all-frames; at most `limit` lines (0: all). */
void stack_frames_print(const struct reading *reading, const struct stack_frames *frames, int limit);

/* What a listing of stacks is about. */
struct stack_listing {
    enum measure bytes, count;    /* columns of stack_use */
    const char *count_field;      /* JSON name of the count */
    const char *count_word;       /* in text; singular */
};
/* "stacks": [...], largest first; every stack, or as many as --limit says. */
void stack_listing_json(const struct reading *reading, sqlite3 *database, const struct stack_listing *listing, struct json *json);
/* The same as text, with shares of `total_bytes`. */
void stack_listing_print(const struct reading *reading, sqlite3 *database, const struct stack_listing *listing, int64_t limit,
                         int64_t total_bytes);

#endif
