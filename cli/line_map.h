/* Which line of a file became which, when the file was edited? Pure computation. Allocates; aborts without memory. */
#ifndef HEAPLINE_CLI_LINE_MAP_H
#define HEAPLINE_CLI_LINE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* From two texts: by old line (from 1, to *ret_count - 1) the new one, 0 where it is gone; malloc'ed. Lines that are in both texts once, and in the
 * same order in both, stand for each other (patience diff: B. Cohen, 2010), with the equal lines around them; so do lines between them, where
 * there are as many on both sides: they were edited. */
uint32_t *line_map_of_texts(const char *old_text, size_t old_bytes, const char *new_text, size_t new_bytes, uint32_t *ret_count);

/* From the recorded lines of one function alone, each rising: by how many lines it moved, as most of them say; the smallest move of equals, and
 * 0 before any other. */
int64_t line_map_shift(const int64_t *old_lines, size_t old_count, const int64_t *new_lines, size_t new_count);

#endif
