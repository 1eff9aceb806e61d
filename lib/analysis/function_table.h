/* The functions of one ELF file by address: its symbol tables in one sorted array.
 *
 * libdwfl merges the tables but searches them from end to end for each address, which for a large library's tens of thousands of symbols
 * is most of a report's time. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_FUNCTION_TABLE_H
#define HEAPLINE_ANALYSIS_FUNCTION_TABLE_H

#include <elfutils/libdwfl.h>
#include <stddef.h>
#include <stdint.h>

struct function_symbol {
    uint64_t start, end; /* equal: the symbol tells no size */
    uint64_t reach;      /* the greatest end of all up to this one */
    const char *name;    /* the file's own, maybe with a version behind '@' */
    uint32_t index;
    uint32_t binding;    /* 2 global, 1 weak, 0 local */
};

struct function_table {
    struct function_symbol *symbols; /* by start, the preferred one of equals last */
    size_t count, capacity;
};

/* All functions of the module. The names live as long as the module. What there is no memory for is left out. */
void function_table_collect(struct function_table *table, Dwfl_Module *module);
void function_table_done(struct function_table *table);

/* The innermost function that holds the address, else the label before it; NULL: none. Of several names of one function a global one is
 * preferred to a weak and a local one. */
const char *function_table_find(const struct function_table *table, uint64_t address);

#endif
