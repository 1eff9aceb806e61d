/* Where the code of a compilation unit was inlined, and from which line: DWARF's inlined subroutines.
 *
 * Consumes a unit's tree of debugging entries, once; answers which call an address was inlined through. One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_INLINE_SITES_H
#define HEAPLINE_ANALYSIS_INLINE_SITES_H

#include <elfutils/libdw.h>
#include <stddef.h>
#include <stdint.h>

struct inline_site {
    uint64_t start, end;
    uint32_t call_file, call_line; /* where it was called: the file's number in the unit; 0: not said */
    uint32_t depth;                /* deeper ones lie within shallower ones */
};

struct inline_sites {
    struct inline_site *sites;
    size_t count, capacity;
};

/* All sites of a unit. What there is no memory for is left out. */
void inline_sites_collect(struct inline_sites *sites, Dwarf_Die *unit);
void inline_sites_done(struct inline_sites *sites);

/* The deepest site that holds the address and is less deep than `below`. NULL: none. */
const struct inline_site *inline_sites_find(const struct inline_sites *sites, uint64_t address, uint32_t below);

#endif
