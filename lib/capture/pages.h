/* Memory of the recorder inside the target: anonymous pages straight from the kernel, never from the target's heap, never through our
 * own mmap hook. Counted, so that the recorder's share of the target can be shown. Any thread; keeps errno. */
#ifndef HEAPLINE_CAPTURE_PAGES_H
#define HEAPLINE_CAPTURE_PAGES_H

#include <stddef.h>

/* Zeroed, private, reserved lazily. NULL when the system refuses. `bytes` is rounded up to whole pages. */
void *pages_map(size_t bytes);
/* The same, `place` bytes into a page, and back. */
void *pages_map_at(size_t place, size_t bytes);
void *pages_remap_at(size_t place, void *memory, size_t old_bytes, size_t new_bytes);
void pages_unmap_at(size_t place, void *memory, size_t bytes);
/* Addresses only, which count towards no limit but that of the address space. pages_commit makes a range of them memory as pages_map's.
 * 0: the system refuses. */
void *pages_reserve(size_t bytes);
int pages_commit(void *pages, size_t bytes);
/* Grow (or shrink), moving if need be. NULL: refused, the old range stays as it is. */
void *pages_remap(void *pages, size_t old_bytes, size_t new_bytes);
void pages_unmap(void *pages, size_t bytes);

/* Where in its page lies what every event uses. All memory at the same place in its page shares a few lines of the innermost cache, and CPython's
 * allocator has the headers of its pools at the starts of pages: what lay there as well was gone again at every other event (counted by
 * valgrind). */
enum page_place {
    PLACE_THREAD = 0x240,
    PLACE_ORDERS = 0x300, /* in a page of its own */
    PLACE_PYTHON_WALK = 0x400,
    PLACE_WALK_LEVELS = 0x800,
    PLACE_WALK_NODES = 0xc00,
    PLACE_WALK_ENDS = 0xd00,
    PLACE_WALK_FRESH = 0xe00,
    PLACE_WALK_SEGMENTS = 0xf00,
    PLACE_UNWINDER = 0x600,
    PLACE_UNWINDER_SPOTS = 0x900,
    PLACE_UNWINDER_FRESH = 0xb80,
    PLACE_UNWINDER_LEVELS = 0xc00,
    PLACE_UNWINDER_CELLS = 0x100,
};

/* Bytes of addresses mapped or reserved so far and not unmapped. */
size_t pages_mapped_bytes(void);

#endif
