/* Encodes structs in Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), as the
 * metadata of Parquet files are. Fields are written in the order of their numbers. */
#ifndef HEAPLINE_EXPORT_THRIFT_COMPACT_H
#define HEAPLINE_EXPORT_THRIFT_COMPACT_H

#include "output_buffer.h"

enum thrift_type { THRIFT_TRUE = 1, THRIFT_FALSE = 2, THRIFT_I32 = 5, THRIFT_I64 = 6, THRIFT_BINARY = 8, THRIFT_LIST = 9, THRIFT_STRUCT = 12 };

#define THRIFT_MAX_DEPTH 8

/* {.out = buffer}: begins within the outermost struct. */
struct thrift_writer {
    struct output_buffer *out;
    int depth;
    int last_fields[THRIFT_MAX_DEPTH]; /* of each open struct */
};

void thrift_boolean(struct thrift_writer *writer, int field, int value);
void thrift_i32(struct thrift_writer *writer, int field, int32_t value);
void thrift_i64(struct thrift_writer *writer, int field, int64_t value);
void thrift_text(struct thrift_writer *writer, int field, const char *text);
/* A struct as a field: what follows is in it until thrift_end. */
void thrift_begin(struct thrift_writer *writer, int field);
/* Of the innermost struct; at last of the outermost. */
void thrift_end(struct thrift_writer *writer);
/* `count` elements follow. */
void thrift_list(struct thrift_writer *writer, int field, enum thrift_type type, size_t count);
void thrift_element_i32(struct thrift_writer *writer, int32_t value);
void thrift_element_text(struct thrift_writer *writer, const char *text);
/* What follows is in this element until thrift_end. */
void thrift_element_begin(struct thrift_writer *writer);

#endif
