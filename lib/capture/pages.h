/* Memory of the recorder inside the target: anonymous pages straight from the kernel, never from the target's heap, never through our
 * own mmap hook. Counted, so that the recorder's share of the target can be shown. Any thread; keeps errno. */
#ifndef HEAPLINE_CAPTURE_PAGES_H
#define HEAPLINE_CAPTURE_PAGES_H

#include <stddef.h>

/* Zeroed, private, reserved lazily. NULL when the system refuses. `bytes` is rounded up to whole pages. */
void *pages_map(size_t bytes);
/* Addresses only, which count towards no limit but that of the address space. pages_commit makes a range of them memory as pages_map's.
 * 0: the system refuses. */
void *pages_reserve(size_t bytes);
int pages_commit(void *pages, size_t bytes);
/* Grow (or shrink), moving if need be. NULL: refused, the old range stays as it is. */
void *pages_remap(void *pages, size_t old_bytes, size_t new_bytes);
void pages_unmap(void *pages, size_t bytes);

/* Bytes of addresses mapped or reserved so far and not unmapped. */
size_t pages_mapped_bytes(void);

#endif
