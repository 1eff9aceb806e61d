/* FNV-1a of bytes, 64 bits: http://www.isthe.com/chongo/tech/comp/fnv/ For tables of texts; not against who chooses the texts to collide. */
#ifndef HEAPLINE_COMMON_BYTE_HASH_H
#define HEAPLINE_COMMON_BYTE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES_START 0xcbf29ce484222325ull

static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    for (const unsigned char *byte = bytes; count--; byte++)
        hash = (hash ^ *byte) * 0x100000001b3ull;
    return hash;
}

#endif
