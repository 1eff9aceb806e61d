/* CPython's str and bytes objects as plain bytes, by raw reads: no call into the interpreter, no GIL (both are immutable).
 * Callers vouch that the object is alive. Any thread; allocates nothing. */
#ifndef HEAPLINE_CAPTURE_PYTHON_TEXT_H
#define HEAPLINE_CAPTURE_PYTHON_TEXT_H

#include <stdint.h>

#include "python_layout.h"

#define PYTHON_TEXT_BYTES 4096

/* The str as valid UTF-8, cut between two characters when longer than PYTHON_TEXT_BYTES; returns the count of bytes written to `to`.
 * Lone surrogates (a file name's undecodable bytes) become \udcXX in letters, as Python's backslashreplace writes them. */
uint32_t python_text_copy(const struct python_layout *layout, uint64_t text, char *to);

static inline uint64_t python_bytes_count(uint64_t bytes)
{
    return python_read_word(bytes, 16); /* ob_size */
}

static inline const char *python_bytes_data(uint64_t bytes)
{
    return (const char *)(uintptr_t)(bytes + 32); /* ob_sval */
}

#endif
