/* A row in SQLite's record format, value by value: https://www.sqlite.org/fileformat.html, section 2.1.
 * One thread; allocates for long texts. */
#ifndef HEAPLINE_ANALYSIS_RECORD_H
#define HEAPLINE_ANALYSIS_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RECORD_MAX_COLUMNS 16
#define RECORD_HEADER_ROOM (1 + RECORD_MAX_COLUMNS * 9)

struct record {
    uint8_t *bytes;      /* RECORD_HEADER_ROOM, then the values */
    size_t capacity;
    uint8_t *body_end;
    uint8_t *types_end;
    uint8_t types[RECORD_HEADER_ROOM];
};

/* Returns 0 or STATUS_NO_MEMORY. */
int record_init(struct record *record);
void record_done(struct record *record);
int record_reserve(struct record *record, size_t text_bytes);

/* Numbers of seven bits a byte, most significant first, nine bytes at most (fileformat.html, 1.6). Returns its end. */
uint8_t *record_put_long_varint(uint8_t *to, uint64_t value);

static inline uint8_t *record_put_varint(uint8_t *to, uint64_t value)
{
    if (value < 0x80) {
        *to = (uint8_t)value;
        return to + 1;
    }
    if (value < 0x4000) {
        to[0] = (uint8_t)(value >> 7 | 0x80);
        to[1] = (uint8_t)(value & 0x7f);
        return to + 2;
    }
    return record_put_long_varint(to, value);
}

static inline void record_begin(struct record *record)
{
    record->body_end = record->bytes + RECORD_HEADER_ROOM;
    record->types_end = record->types;
}

static inline void record_null(struct record *record)
{
    *record->types_end++ = 0;
}

static inline void record_signed(struct record *record, int64_t value)
{
    /* by bytes needed: serial type, and the bytes that it takes */
    static const uint8_t types[9] = {0, 1, 2, 3, 4, 5, 5, 6, 6}, widths[9] = {0, 1, 2, 3, 4, 6, 6, 8, 8};
    if (value == 0 || value == 1) {
        *record->types_end++ = (uint8_t)(8 + value);
        return;
    }
    uint64_t magnitude = (uint64_t)(value ^ value >> 63) << 1 | 1; /* with room for the sign */
    unsigned bytes = (71 - (unsigned)__builtin_clzll(magnitude)) / 8;
    uint64_t big_endian = __builtin_bswap64((uint64_t)value << (64 - 8 * widths[bytes]));
    *record->types_end++ = types[bytes];
    memcpy(record->body_end, &big_endian, 8);
    record->body_end += widths[bytes];
}

/* SQLite's integers end at 2^63 - 1: larger ones are cut to it. */
static inline void record_number(struct record *record, uint64_t value)
{
    record_signed(record, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

/* A double: its bits, the most significant byte first. */
static inline void record_real(struct record *record, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = __builtin_bswap64(bits);
    *record->types_end++ = 7;
    memcpy(record->body_end, &bits, 8);
    record->body_end += 8;
}

static inline void record_number_or_null(struct record *record, uint64_t value)
{
    if (value)
        record_number(record, value);
    else
        record_null(record);
}

/* NULL: NULL. Returns 0 or STATUS_NO_MEMORY. */
int record_text(struct record *record, const char *text);

/* Put the header in front. The row is at the returned address until the next record_begin. */
const uint8_t *record_finish(struct record *record, size_t *ret_bytes);

#endif
