/* Encodes messages of Protocol Buffers (https://protobuf.dev/programming-guides/encoding/): fields are appended to a buffer; a nested message
 * is a buffer of its own, which is appended when it is whole. Integers that are 0 are left out, as proto3 has it. */
#ifndef HEAPLINE_EXPORT_PROTOBUF_H
#define HEAPLINE_EXPORT_PROTOBUF_H

#include "output_buffer.h"

/* int64, uint64, bool and enum. */
void protobuf_integer(struct output_buffer *message, unsigned field, int64_t value);
/* A string of a repeated field: an empty one counts as well. */
void protobuf_repeated_text(struct output_buffer *message, unsigned field, const char *text);
/* A message, even an empty one. */
void protobuf_message(struct output_buffer *message, unsigned field, const struct output_buffer *inner);
/* A packed repeated int64 or uint64. */
void protobuf_integers(struct output_buffer *message, unsigned field, const int64_t *values, size_t count);

#endif
