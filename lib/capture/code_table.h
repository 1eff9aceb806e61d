/* Python code objects as numbers: address -> code id, valid as long as the object lives.
 *
 * The first sight of a code object copies its file name, name, first line and line table into definitions. When a code object dies its
 * address is forgotten, and the epoch rises: whoever keeps ids by address drops them. Ids are never used again.
 * Lookup is lock-free for living objects (the caller's frames keep them alive); the rest takes the definition lock. Keeps errno. */
#ifndef HEAPLINE_CAPTURE_CODE_TABLE_H
#define HEAPLINE_CAPTURE_CODE_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

#include "compiler.h"
#include "python_layout.h"

/* Nothing to show: a code object of the interpreter's own. */
#define CODE_HIDDEN 0x7fffffffu

/* Another one whenever a code object that was given an id dies, and never 0: the next multiple of a number that makes it good for hashes. */
#define CODE_EPOCH_STEP 0x9E3779B97F4A7C15ull /* odd; of Fibonacci hashing */
INTERNAL _Atomic uint64_t code_table_epoch;

/* Id of the code object at this address, which a frame on this thread's stack holds. 0: it can't be read (seen first in its destruction) or
 * defined; counted as an unsafe stack, and not to be remembered, as nobody will tell of its end. */
uint32_t code_table_find(const struct python_layout *layout, uint64_t code);

/* A code id for what is no code object, whose frames are the project's own (tags.h): under the definition lock. 0: it can't be defined. */
uint32_t code_table_name(const char *file, const char *name, uint32_t name_bytes);

/* Around the destruction of a code object, by the thread that destroys it: begin tells whether it was known. Between the two the object can
 * still be on a stack (3.11 clears a frame before it unlinks it) and keeps its id. */
int code_table_death_begin(uint64_t code);
void code_table_death_end(uint64_t code);

#endif
