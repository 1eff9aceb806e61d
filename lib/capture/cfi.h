/* Call frame information as compact rows: how to get from a frame to its caller, for one return address.
 *
 * Consumes .eh_frame through its sorted .eh_frame_hdr (found by the lock-free _dl_find_object); produces rows that a walk can keep in a
 * cache. DWARF 5, section 6.4; LSB, "Exception Frames". x86-64: stack pointer, frame pointer and return address are all that is followed;
 * what doesn't fit a row is CFI_UNKNOWN, and the stack is cut there.
 * Reads mapped, read-only sections only. Any thread; never allocates; takes no lock. */
#ifndef HEAPLINE_CAPTURE_CFI_H
#define HEAPLINE_CAPTURE_CFI_H

#include <stdint.h>

enum cfi_kind {
    CFI_UNKNOWN,     /* no information, or more than a row can say */
    CFI_FROM_STACK,  /* CFA = this frame's CFA (the stack pointer after return) + offset */
    CFI_FROM_FRAME,  /* CFA = frame pointer + offset */
    CFI_FROM_MEMORY, /* CFA = *(frame pointer + offset): a realigned stack */
    CFI_PLT,         /* CFA = stack pointer + 8, + 8 more past the push of its index */
    CFI_SIGNAL,      /* a signal frame: registers are in the ucontext at the stack pointer */
    CFI_OUTERMOST,   /* has no caller */
};

/* frame_pointer_offset: where the caller's frame pointer was saved, from the CFA; 0: not saved, unchanged. */
#define CFI_FRAME_POINTER_AT_ITSELF 1 /* saved where the frame pointer points to */

struct cfi_row {
    uint64_t address;
    int32_t cfa_offset;
    int16_t frame_pointer_offset;
    uint8_t kind; /* enum cfi_kind */
    uint8_t reserved;
    uint32_t module_id;
    uint32_t reserved_too;
};

/* The row of a return address (module_id is left alone). */
void cfi_find(uint64_t return_address, struct cfi_row *row);

#endif
