/* Rows of call frame information by return address, kept: a lookup costs some ns where finding the row anew costs a microsecond.
 *
 * Two caches. A thread's own is asked at each frame: a page, and more for a thread that needs it. Behind it the process has one for all
 * threads. Both are direct-mapped or nearly so: a new row takes the place of an old one.
 * All rows are of one module epoch: the caller forgets its cache (cfi_cache_forget) when module_table_epoch has moved.
 * With busy set; memory straight from the kernel; takes the definition lock for a module's first row; keeps errno. */
#ifndef HEAPLINE_CAPTURE_CFI_CACHE_H
#define HEAPLINE_CAPTURE_CFI_CACHE_H

#include <stdint.h>

#include "cfi.h"
#include "compiler.h"

/* Values of cfi_row.module that are no module ids. */
#define CFI_MODULE_OWN 0xffffu  /* this library's code: no part of the target's stacks */
#define CFI_MODULE_HIGH 0xfffeu /* the id doesn't fit: ask the module table */
#define CFI_MODULE_LOOP 0xfffdu /* the interpreter's loop, where that has to be told by its code (python_loop.h): ask for the id, too */
#define CFI_MODULE_SPECIAL CFI_MODULE_LOOP /* the lowest of these values */

struct cfi_cache_entry {
    uint64_t address;
    struct cfi_row row;
};

struct cfi_cache {
    struct cfi_cache_entry *entries;
    uint64_t mask;  /* of indices; entry count - 1 */
    uint32_t epoch;
    uint32_t fills; /* since it has this size */
    struct cfi_row unkept; /* of code in no module (JIT), which may be gone any time: it is looked up each time */
};

/* 0: no memory. */
int cfi_cache_init(struct cfi_cache *cache);
void cfi_cache_done(struct cfi_cache *cache);

/* Forget all rows; those to come belong to this epoch. */
void cfi_cache_forget(struct cfi_cache *cache, uint32_t epoch);

COLD const struct cfi_row *cfi_cache_fill(struct cfi_cache *cache, struct cfi_cache_entry *entry, uint64_t address);

/* The row of a return address, with its module; good until the next call. CFI_UNKNOWN for address 0. */
HOT_INLINE const struct cfi_row *cfi_cache_find(struct cfi_cache *cache, uint64_t address)
{
    /* No better hash than that: the walk waits for it. */
    struct cfi_cache_entry *entry = &cache->entries[address & cache->mask];
    return likely(entry->address == address) ? &entry->row : cfi_cache_fill(cache, entry, address);
}

#endif
