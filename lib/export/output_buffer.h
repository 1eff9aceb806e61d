/* Growing bytes, which the encoders of this folder append to. A failed allocation is remembered, so that only the end needs a check.
 * One thread; allocates with malloc. */
#ifndef HEAPLINE_EXPORT_OUTPUT_BUFFER_H
#define HEAPLINE_EXPORT_OUTPUT_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* All zero: empty. */
struct output_buffer {
    uint8_t *bytes;
    size_t count, capacity;
    int has_failed; /* without memory: what was appended since is lost */
};

/* Room for `count` more bytes, which then count as appended; NULL without memory. */
void *output_buffer_extend(struct output_buffer *buffer, size_t count);
void output_buffer_append(struct output_buffer *buffer, const void *bytes, size_t count);
void output_buffer_append_byte(struct output_buffer *buffer, uint8_t byte);
/* Base 128, the low seven bits first: of protobuf and of Thrift's compact protocol. */
void output_buffer_append_varint(struct output_buffer *buffer, uint64_t value);
/* Low byte first. `count`: 1 to 8 bytes. */
void output_buffer_append_number(struct output_buffer *buffer, uint64_t value, size_t count);
/* Empty again; keeps the memory. */
void output_buffer_clear(struct output_buffer *buffer);
void output_buffer_free(struct output_buffer *buffer);

#endif
