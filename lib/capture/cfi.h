/* Call frame information as compact rows: how to get from a frame to its caller, for one return address.
 *
 * Consumes .eh_frame through its sorted .eh_frame_hdr (found by the lock-free _dl_find_object); produces rows that a walk can keep in a
 * cache. DWARF 5, section 6.4; LSB, "Exception Frames". x86-64: stack pointer, frame pointer and return address are all that is followed;
 * what doesn't fit a row is left to libunwind (native_fallback.h), and so is all on other processors.
 * Reads mapped, read-only sections only. Any thread; never allocates; takes no lock. */
#ifndef HEAPLINE_CAPTURE_CFI_H
#define HEAPLINE_CAPTURE_CFI_H

#include <stdint.h>

#include "compiler.h"

enum cfi_kind {
    CFI_UNKNOWN,     /* no information */
    CFI_FROM_STACK,  /* CFA = this frame's CFA (the stack pointer after return) + offset */
    CFI_FROM_FRAME,  /* CFA = frame pointer + offset */
    CFI_FROM_MEMORY, /* CFA = *(frame pointer + offset): a realigned stack */
    CFI_PLT,         /* CFA = stack pointer + 8, + 8 more when the address' low four bits are at least offset / 8 */
    CFI_SIGNAL,      /* a signal frame: registers are in the ucontext at the stack pointer */
    CFI_OUTERMOST,   /* has no caller */
    CFI_BEYOND_ROWS, /* more than a row can say: libunwind steps over it (native_fallback.h) */
};

/* frame_pointer_offset: where the caller's frame pointer was saved, from the CFA; 0: not saved, unchanged. In plain rows, those from the stack or
 * from the frame pointer, the offset is at least 8 and this one between -offset and -16. */
#define CFI_FRAME_POINTER_AT_ITSELF 1 /* saved where the frame pointer points to */

struct cfi_row {
    int32_t rule;                 /* offset | kind: offsets are multiples of 8 */
    int16_t frame_pointer_offset;
    uint16_t module;              /* module id, or a CFI_MODULE_ value; cfi_cache.c fills it in */
};

#define CFI_KIND_MASK 7
#define CFI_RULE(kind, offset) ((int32_t)((uint32_t)(offset) | (kind)))

HOT_INLINE enum cfi_kind cfi_row_kind(const struct cfi_row *row)
{
    return (enum cfi_kind)(row->rule & CFI_KIND_MASK);
}

HOT_INLINE int cfi_row_is_plain(const struct cfi_row *row)
{
    return (unsigned)cfi_row_kind(row) - CFI_FROM_STACK <= CFI_FROM_FRAME - CFI_FROM_STACK;
}

HOT_INLINE int64_t cfi_row_offset(const struct cfi_row *row)
{
    return row->rule & ~CFI_KIND_MASK;
}

HOT_INLINE int cfi_rows_are_equal(const struct cfi_row *row, const struct cfi_row *other)
{
    /* No memcmp: it would be called. */
    return row->rule == other->rule && *(const uint32_t *)&row->frame_pointer_offset == *(const uint32_t *)&other->frame_pointer_offset;
}

/* The row of a return address; its module is 0. */
void cfi_find(uint64_t return_address, struct cfi_row *row);

#endif
