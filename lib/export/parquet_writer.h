/* Writes one table as a Parquet file (https://parquet.apache.org/docs/file-format/), format version 1: rows in groups, pages compressed with zstd,
 * text through dictionaries.
 *
 * column   flat, or one of the fields of the table's list: a column of lists of structs, as of a stack's frames
 * group    some rows, held in memory column by column until they are written
 * One thread; allocates. */
#ifndef HEAPLINE_EXPORT_PARQUET_WRITER_H
#define HEAPLINE_EXPORT_PARQUET_WRITER_H

#include "output_buffer.h"
#include "status.h"

enum parquet_type { PARQUET_INTEGER, PARQUET_BOOLEAN, PARQUET_TIME_MICROSECONDS, PARQUET_REAL, PARQUET_TEXT };

struct parquet_column {
    const char *name;
    enum parquet_type type;
    int is_optional; /* may be NULL */
};

struct parquet_schema {
    const struct parquet_column *columns; /* flat ones */
    size_t column_count;
    const char *list_name;                /* NULL: no list */
    const struct parquet_column *list_columns;
    size_t list_column_count;
};

struct parquet_writer;

/* The schema must outlive the writer. NULL without memory. */
struct parquet_writer *parquet_writer_new(const struct parquet_schema *schema);
void parquet_writer_free(struct parquet_writer *writer);

/* A row: a value for each flat column, then the list's elements, then the end. Columns are numbered as in the schema, those of the list behind
 * the flat ones. */
void parquet_writer_integer(struct parquet_writer *writer, size_t column, int64_t value);
void parquet_writer_real(struct parquet_writer *writer, size_t column, double value);
/* Valid UTF-8; NULL where the column is optional. */
void parquet_writer_text(struct parquet_writer *writer, size_t column, const char *text);
void parquet_writer_null(struct parquet_writer *writer, size_t column);
/* After the values of one element of the list. */
void parquet_writer_element_end(struct parquet_writer *writer);
void parquet_writer_row_end(struct parquet_writer *writer);

/* Key and value in the file's metadata, for its readers. */
void parquet_writer_note(struct parquet_writer *writer, const char *key, const char *value);

/* Is it time to write the group? */
int parquet_writer_is_full(const struct parquet_writer *writer);
/* Append the group, with the file's beginning where it is the first, to `out`, which the caller may empty between calls. Returns 0 or
 * STATUS_NO_MEMORY. */
int parquet_writer_flush(struct parquet_writer *writer, struct output_buffer *out);
/* The last group and the file's end. */
int parquet_writer_finish(struct parquet_writer *writer, struct output_buffer *out, const char *created_by);

#endif
