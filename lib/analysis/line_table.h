/* CPython's line tables: which source line an instruction of a code object belongs to.
 *
 * Three formats: co_lnotab up to 3.9, co_linetable of 3.10 (PEP 626), the location table from 3.11 on (PEP 657,
 * Objects/locations.md in CPython's source). Pure functions on untrusted bytes; never allocate. */
#ifndef HEAPLINE_ANALYSIS_LINE_TABLE_H
#define HEAPLINE_ANALYSIS_LINE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct line_table {
    const uint8_t *bytes;
    size_t byte_count;
    uint32_t python_version; /* 0x030b: 3.11 */
    int32_t first_line;
};

/* Finds the lines of one instruction after the other, in rising order: one walk through the table for all. */
struct line_cursor {
    const struct line_table *table;
    size_t position;
    int64_t line, end; /* of the entry before the position: its line, and the instruction that it ends before (up to 3.9: begins at) */
    int has_line;
};

void line_cursor_begin(struct line_cursor *cursor, const struct line_table *table);
/* The line of an instruction: an offset in bytes up to 3.9, in code units (of 2 bytes) from 3.10 on.
 * 0: it has no line (instructions that the compiler added, a damaged table, an offset outside the code). */
int32_t line_cursor_find(struct line_cursor *cursor, int32_t instruction);

#endif
