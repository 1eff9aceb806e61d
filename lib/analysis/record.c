/* Rows in SQLite's record format (record.h): the parts that are not worth inlining. */
#include "record.h"

#include <stdlib.h>

#include "status.h"

#define NUMBERS_BYTES (8 * (RECORD_MAX_COLUMNS + 1)) /* numbers are stored eight bytes at a time */

int record_init(struct record *record)
{
    *record = (struct record){.capacity = 1024};
    if (!(record->bytes = malloc(record->capacity)))
        return STATUS_NO_MEMORY;
    record_begin(record);
    return STATUS_OK;
}

void record_done(struct record *record)
{
    free(record->bytes);
    *record = (struct record){0};
}

int record_reserve(struct record *record, size_t text_bytes)
{
    size_t used = (size_t)(record->body_end - record->bytes), needed = used + text_bytes + NUMBERS_BYTES;
    if (needed <= record->capacity)
        return STATUS_OK;
    uint8_t *grown = realloc(record->bytes, 2 * needed);
    if (!grown)
        return STATUS_NO_MEMORY;
    record->bytes = grown;
    record->capacity = 2 * needed;
    record->body_end = grown + used;
    return STATUS_OK;
}

uint8_t *record_put_long_varint(uint8_t *to, uint64_t value)
{
    uint8_t digits[10];
    int count = 0;
    if (value >> 56) {
        /* The ninth byte holds eight bits. */
        for (int i = 0; i < 8; i++)
            to[i] = (uint8_t)(value >> (57 - 7 * i) | 0x80);
        to[8] = (uint8_t)value;
        return to + 9;
    }
    do
        digits[count++] = (uint8_t)(value & 0x7f);
    while (value >>= 7);
    while (count > 1)
        *to++ = digits[--count] | 0x80;
    *to++ = digits[0];
    return to;
}

int record_text(struct record *record, const char *text)
{
    if (!text) {
        record_null(record);
        return STATUS_OK;
    }
    size_t length = strlen(text);
    int status = record_reserve(record, length);
    if (status)
        return status;
    record->types_end = record_put_varint(record->types_end, 2 * (uint64_t)length + 13);
    memcpy(record->body_end, text, length);
    record->body_end += length;
    return STATUS_OK;
}

const uint8_t *record_finish(struct record *record, size_t *ret_bytes)
{
    size_t types_bytes = (size_t)(record->types_end - record->types);
    /* The header's length counts itself: one byte up to 127, else two. */
    size_t length_bytes = types_bytes + 1 < 0x80 ? 1 : 2;
    uint8_t *start = record->bytes + RECORD_HEADER_ROOM - types_bytes - length_bytes;
    memcpy(record_put_varint(start, types_bytes + length_bytes), record->types, types_bytes);
    *ret_bytes = (size_t)(record->body_end - start);
    return start;
}
