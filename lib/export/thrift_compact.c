/* See thrift_compact.h. */
#include "thrift_compact.h"

#include <string.h>

#define LONGEST_SHORT_DELTA 15
#define LONGEST_SHORT_LIST 14

static void append_zigzag(struct output_buffer *out, int64_t value)
{
    output_buffer_append_varint(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void append_field(struct thrift_writer *writer, int field, enum thrift_type type)
{
    int delta = field - writer->last_fields[writer->depth];
    if (delta > 0 && delta <= LONGEST_SHORT_DELTA) {
        output_buffer_append_byte(writer->out, (uint8_t)(delta << 4 | type));
    } else {
        output_buffer_append_byte(writer->out, (uint8_t)type);
        append_zigzag(writer->out, field);
    }
    writer->last_fields[writer->depth] = field;
}

static void append_text(struct output_buffer *out, const char *text)
{
    size_t count = strlen(text);
    output_buffer_append_varint(out, count);
    output_buffer_append(out, text, count);
}

void thrift_boolean(struct thrift_writer *writer, int field, int value)
{
    append_field(writer, field, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_i32(struct thrift_writer *writer, int field, int32_t value)
{
    append_field(writer, field, THRIFT_I32);
    append_zigzag(writer->out, value);
}

void thrift_i64(struct thrift_writer *writer, int field, int64_t value)
{
    append_field(writer, field, THRIFT_I64);
    append_zigzag(writer->out, value);
}

void thrift_text(struct thrift_writer *writer, int field, const char *text)
{
    append_field(writer, field, THRIFT_BINARY);
    append_text(writer->out, text);
}

void thrift_element_begin(struct thrift_writer *writer)
{
    writer->last_fields[++writer->depth] = 0;
}

void thrift_begin(struct thrift_writer *writer, int field)
{
    append_field(writer, field, THRIFT_STRUCT);
    thrift_element_begin(writer);
}

void thrift_end(struct thrift_writer *writer)
{
    output_buffer_append_byte(writer->out, 0);
    writer->depth--;
}

void thrift_list(struct thrift_writer *writer, int field, enum thrift_type type, size_t count)
{
    append_field(writer, field, THRIFT_LIST);
    output_buffer_append_byte(writer->out, (uint8_t)((count <= LONGEST_SHORT_LIST ? count : 15) << 4 | type));
    if (count > LONGEST_SHORT_LIST)
        output_buffer_append_varint(writer->out, count);
}

void thrift_element_i32(struct thrift_writer *writer, int32_t value)
{
    append_zigzag(writer->out, value);
}

void thrift_element_text(struct thrift_writer *writer, const char *text)
{
    append_text(writer->out, text);
}
