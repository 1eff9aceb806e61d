/* Where the code of the interpreter's loop lies. Up to 3.9 a loop says nowhere on its native stack which frame it runs; but each runs one frame
 * alone, so that a stack's loops, told by their return addresses, are its Python frames in the same order.
 *
 * Set once, when the interpreter is found, before it runs any frame; any thread reads it. */
#ifndef HEAPLINE_CAPTURE_PYTHON_LOOP_H
#define HEAPLINE_CAPTURE_PYTHON_LOOP_H

#include <link.h>
#include <stdint.h>

#include "compiler.h"

/* The function, and the part of it that compilers put elsewhere as hardly ever used (its symbol's name ends with .cold, or .cold.N). */
#define PYTHON_LOOP_PARTS 2

struct python_loop_part {
    uint64_t start, bytes;
};

INTERNAL struct python_loop_part python_loop[PYTHON_LOOP_PARTS];

/* Fills python_loop: the function from the module's dynamic symbols, which stripped ones have, too; the other part from its file's whole table,
 * where there is one. Without, a loop that calls from its rare part is not told, and a stack's count isn't right. 0: no such function.
 * Reads the file; allocates nothing; keeps errno. */
COLD int python_loop_find(const struct link_map *interpreter);

HOT_INLINE int python_loop_holds(uint64_t return_address)
{
    return return_address - 1 - python_loop[0].start < python_loop[0].bytes || return_address - 1 - python_loop[1].start < python_loop[1].bytes;
}

#endif
