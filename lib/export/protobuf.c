/* See protobuf.h. */
#include "protobuf.h"

#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static void append_tag(struct output_buffer *message, unsigned field, enum wire_type type)
{
    output_buffer_append_varint(message, (uint64_t)field << 3 | type);
}

static void append_bytes(struct output_buffer *message, unsigned field, const void *bytes, size_t count)
{
    append_tag(message, field, WIRE_BYTES);
    output_buffer_append_varint(message, count);
    output_buffer_append(message, bytes, count);
}

static size_t varint_bytes(uint64_t value)
{
    size_t count = 1;
    for (; value >= 0x80; value >>= 7)
        count++;
    return count;
}

void protobuf_integer(struct output_buffer *message, unsigned field, int64_t value)
{
    if (!value)
        return;
    append_tag(message, field, WIRE_VARINT);
    output_buffer_append_varint(message, (uint64_t)value);
}

void protobuf_repeated_text(struct output_buffer *message, unsigned field, const char *text)
{
    append_bytes(message, field, text, strlen(text));
}

void protobuf_message(struct output_buffer *message, unsigned field, const struct output_buffer *inner)
{
    append_bytes(message, field, inner->bytes, inner->count);
    message->has_failed |= inner->has_failed;
}

void protobuf_integers(struct output_buffer *message, unsigned field, const int64_t *values, size_t count)
{
    size_t bytes = 0;
    if (!count)
        return;
    for (size_t i = 0; i < count; i++)
        bytes += varint_bytes((uint64_t)values[i]);
    append_tag(message, field, WIRE_BYTES);
    output_buffer_append_varint(message, bytes);
    for (size_t i = 0; i < count; i++)
        output_buffer_append_varint(message, (uint64_t)values[i]);
}
