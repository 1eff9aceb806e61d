/* Rows by source line, as the report database holds them, and the nine measures that each carries: loaded, summed, printed as a table
 * and as JSON. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_LINE_ROWS_H
#define HEAPLINE_CLI_LINE_ROWS_H

#include "count_error.h"
#include "estimate.h"
#include "reading.h"

enum measure {
    PEAK_BYTES, PEAK_ALLOCATIONS, LIVE_BYTES, LIVE_ALLOCATIONS, ALLOCATED_BYTES, ALLOCATIONS, TEMPORARY_ALLOCATIONS, COPIED_BYTES, COPIES,
    MEASURE_COUNT,
    MEASURE_NONE = -1,
};

struct measure_shape {
    const char *name;   /* JSON field, column of the database, --sort */
    const char *alias;  /* --sort; NULL: none */
    const char *title;  /* of its column */
    int is_bytes;
};
extern const struct measure_shape measures[MEASURE_COUNT];

struct line_row {
    char *file, *function, *kind, *origin; /* file NULL: no line, function says what it is */
    int64_t line;                          /* 0: none */
    int64_t measures[MEASURE_COUNT];
    struct count_error error;
    int64_t line_id;                       /* its row in the table; 0: a sum */
};

struct line_rows {
    struct line_row *rows;
    int64_t count;
    int64_t more_count;     /* rows beyond the limit */
    struct line_row more;   /* their sums */
    struct line_row total;  /* of all rows */
    int64_t sampling_interval_bytes; /* 0: figures are exact */
    int knows_errors;       /* of their counts, where they aren't */
};

struct line_query {
    int inclusive;
    const char *order;      /* SQL, from line_order; NULL: by `about` */
    enum measure about;     /* leave out rows in which it is 0 (its count too, for bytes); MEASURE_NONE: none */
    int fold_imports;       /* one row '(imports)' for what importing modules took */
    const char *file;       /* only this one, as recorded */
    int64_t limit;          /* 0: all */
};

/* ORDER BY for the name of a column; NULL name: by `otherwise`. Exits with status 2 for an unknown one. */
const char *line_order(const struct reading *reading, enum measure otherwise);

void line_rows_load(sqlite3 *database, const struct line_query *query, struct line_rows *ret_rows);
void line_rows_free(struct line_rows *rows);

/* Where the truth of a row's figure lies, in 95 of 100 runs. Returns 0: it is exact, or nobody knows. */
int line_row_interval(const struct line_rows *rows, const struct line_row *row, enum measure measure, struct estimate_interval *ret_interval);
/* "interval_95": {"peak_bytes": [low, high], …}, of a sample; nothing where figures are exact. */
void line_row_intervals_json(const struct line_rows *rows, const struct line_row *row, struct json *json);

/* The fields of one of the rows, into the object that is open. */
void line_row_json(const struct line_rows *rows, const struct line_row *row, struct json *json);
/* The array `key` of row objects. */
void line_rows_json(const struct line_rows *rows, struct json *json, const char *key);

enum line_table_flag {
    LINE_TABLE_TOTAL = 1,  /* a last row with the sums */
    LINE_TABLE_SHARE = 2,  /* share and bar of the first measure */
    LINE_TABLE_CALLERS = 4, /* for lines of libraries, the line of the user's own that mostly calls them */
};
/* Columns: place, function, then the measures. `shown` ends with MEASURE_NONE; the first is the one that matters. */
void line_rows_table(const struct reading *reading, sqlite3 *database, const struct line_rows *rows, const enum measure *shown, int flags);

/* A word on each row that is nobody's line, but those that were said already: bits of what it returned before. Returns what has been said. */
int line_rows_explain(const struct reading *reading, const struct line_rows *rows, int said);

/* For a line that isn't the user's own: the nearest line of his on the stack with the most of `measure`, by its base name. malloc'ed; "" where
 * there is none. */
char *line_caller(const struct reading *reading, sqlite3 *database, const struct line_row *row, enum measure measure);

/* Place of a frame or line: 'train.py:12', 'libc.so.6', or `function` where there is neither. malloc'ed. */
char *line_place(const struct reading *reading, const char *file, int64_t line, const char *function);

#endif
