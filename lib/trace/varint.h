/* Unsigned LEB128 numbers and zigzag: how the columns and the definitions of a trace spell integers.
 * Writers guarantee 10 bytes of room. Readers guarantee VARINT_MAX_BYTES readable bytes behind the end of every section, so
 * that a number is read without a check a byte; who reads compares the cursor with the end afterwards. Never allocates. */
#ifndef HEAPLINE_TRACE_VARINT_H
#define HEAPLINE_TRACE_VARINT_H

#include <stdint.h>

#include "compiler.h"

#define VARINT_MAX_BYTES 10

HOT_INLINE uint8_t *varint_put(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

/* Reads at most VARINT_MAX_BYTES bytes, whatever they hold; bits above the 64th are dropped. */
HOT_INLINE const uint8_t *varint_get(const uint8_t *from, uint64_t *ret_value)
{
    uint64_t value = *from & 0x7f;
    if (unlikely(*from & 0x80)) {
        unsigned shift = 0;
        do {
            from++;
            shift += 7;
            value |= (uint64_t)(*from & 0x7f) << shift;
        } while ((*from & 0x80) && shift < 63);
    }
    *ret_value = value;
    return from + 1;
}

HOT_INLINE uint64_t zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

HOT_INLINE int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1 ^ ((uint64_t)0 - (value & 1)));
}

#endif
