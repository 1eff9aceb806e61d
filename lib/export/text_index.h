/* Numbers distinct texts 0, 1, 2 … in the order of their first appearance: string tables and dictionaries. Keeps copies.
 * One thread; allocates with malloc. */
#ifndef HEAPLINE_EXPORT_TEXT_INDEX_H
#define HEAPLINE_EXPORT_TEXT_INDEX_H

#include <stddef.h>
#include <stdint.h>

/* All zero: empty. */
struct text_index {
    char **texts; /* by number */
    size_t count, capacity;
    uint32_t *slots; /* of the hash table: number + 1; 0: free */
    size_t slot_count;
    int has_failed; /* without memory: numbers since then mean nothing */
};

/* The text's number; NULL counts as "". */
uint32_t text_index_of(struct text_index *index, const char *text);
/* Empty again. */
void text_index_free(struct text_index *index);

#endif
