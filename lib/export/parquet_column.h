/* A leaf column of one group of rows, in memory: values, levels, dictionary; and its two pages when they are encoded. Private to the writer.
 *
 * definition level   how much of the path to a value exists: highest, the value itself
 * repetition level   0: begins a row; 1: continues its list */
#ifndef HEAPLINE_EXPORT_PARQUET_COLUMN_H
#define HEAPLINE_EXPORT_PARQUET_COLUMN_H

#include "parquet_writer.h"
#include "text_index.h"

struct parquet_chunk {
    const struct parquet_column *column;
    int max_definition, max_repetition;
    struct output_buffer values;      /* as PLAIN has them, bytes for booleans; of text: 32-bit numbers in the dictionary */
    struct output_buffer definitions; /* a byte each; empty where max_definition is 0 */
    struct output_buffer repetitions;
    struct text_index dictionary;
    size_t level_count;               /* values, NULLs and empty lists */
};

/* Where it is in the file. */
struct parquet_chunk_place {
    int64_t first_offset, data_offset;
    int64_t compressed_bytes, uncompressed_bytes, level_count;
    int has_dictionary;
};

/* A value, or none, with its levels. */
void parquet_chunk_append(struct parquet_chunk *chunk, const void *value, size_t bytes, int definition, int repetition);
/* Appends its pages; the file is `file_offset` bytes longer than `out` before. Returns 0 or STATUS_NO_MEMORY. Empties the chunk. */
int parquet_chunk_write(struct parquet_chunk *chunk, int64_t file_offset, struct output_buffer *out, struct parquet_chunk_place *ret_place);
void parquet_chunk_free(struct parquet_chunk *chunk);

#endif
