/* Which calls the compiler dissolved at an address: DWARF's inlined subroutines.
 *
 * Consumes a compilation unit's tree of debugging entries: its functions once, when the first of its addresses asks, and of a function only
 * the entries that hold the address. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_INLINE_SITES_H
#define HEAPLINE_ANALYSIS_INLINE_SITES_H

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

/* More levels than that are left out, the innermost ones. */
#define INLINE_SITES_MAX 64

struct unit_function {
    uint64_t start, end;
    Dwarf_Die entry;
};

/* A namespace or type, and what it lies in. */
struct unit_scope {
    Dwarf_Die entry;
    uint32_t parent; /* 0: the unit */
};

/* A function that has only a plain name, and lies in a scope. */
struct scoped_function {
    uint64_t offset;
    uint32_t scope;
};

/* The functions of a unit by address; those that have no linkage name by their entry's offset. */
struct unit_functions {
    struct unit_function *functions;
    size_t count, capacity;
    struct unit_scope *scopes; /* from 1 */
    size_t scope_count, scope_capacity;
    struct scoped_function *scoped; /* ascending */
    size_t scoped_count, scoped_capacity;
};

struct inline_site {
    Dwarf_Die entry;
    uint32_t call_file, call_line; /* where it was called: the file's number in the unit; 0: not said */
};

struct inline_sites {
    int has_function;
    Dwarf_Die function;            /* the one that has code of its own */
    struct inline_site sites[INLINE_SITES_MAX]; /* outermost first */
    size_t count;
};

/* What there is no memory for is left out. */
void unit_functions_collect(struct unit_functions *functions, Dwarf_Die *unit);
void unit_functions_done(struct unit_functions *functions);

/* The innermost scope of a function without a linkage name. `entry`: it, or a call that was made from it. 0: none. */
uint32_t unit_functions_scope(const struct unit_functions *functions, Dwarf_Die *entry);

void inline_sites_find(const struct unit_functions *functions, uint64_t address, struct inline_sites *ret_sites);

#endif
