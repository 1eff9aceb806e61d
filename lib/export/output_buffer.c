/* See output_buffer.h. */
#include "output_buffer.h"

#include <stdlib.h>
#include <string.h>

void *output_buffer_extend(struct output_buffer *buffer, size_t count)
{
    if (count > buffer->capacity - buffer->count) {
        size_t capacity = 2 * buffer->capacity > 4096 ? 2 * buffer->capacity : 4096;
        while (capacity - buffer->count < count)
            capacity *= 2;
        uint8_t *grown = realloc(buffer->bytes, capacity);
        if (!grown) {
            buffer->has_failed = 1;
            return NULL;
        }
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    void *room = buffer->bytes + buffer->count;
    buffer->count += count;
    return room;
}

void output_buffer_append(struct output_buffer *buffer, const void *bytes, size_t count)
{
    void *room = output_buffer_extend(buffer, count);
    if (room && count)
        memcpy(room, bytes, count);
}

void output_buffer_append_byte(struct output_buffer *buffer, uint8_t byte)
{
    uint8_t *room = output_buffer_extend(buffer, 1);
    if (room)
        *room = byte;
}

void output_buffer_append_varint(struct output_buffer *buffer, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        output_buffer_append_byte(buffer, (uint8_t)(value | 0x80));
    output_buffer_append_byte(buffer, (uint8_t)value);
}

void output_buffer_append_number(struct output_buffer *buffer, uint64_t value, size_t count)
{
    for (size_t i = 0; i < count; i++)
        output_buffer_append_byte(buffer, (uint8_t)(value >> 8 * i));
}

void output_buffer_clear(struct output_buffer *buffer)
{
    buffer->count = 0;
}

void output_buffer_free(struct output_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct output_buffer){0};
}
