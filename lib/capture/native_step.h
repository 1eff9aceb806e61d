/* One step of a native walk: from a frame to its caller, by a row of call frame information.
 *
 * Vocabulary
 *   place   where a frame stands: its return address (to look for its row), its stack pointer after that return, its frame pointer
 *   cell    a word of memory that a step depended on
 *
 * Raw reads; system calls only for memory that isn't the thread's own stack; keeps errno. */
#ifndef HEAPLINE_CAPTURE_NATIVE_STEP_H
#define HEAPLINE_CAPTURE_NATIVE_STEP_H

#include <stdint.h>

#include "cfi.h"

struct native_place {
    uint64_t stack, address, frame_pointer;
};

/* What may be read: [low, high) directly, the rest after the kernel was asked about its page. */
struct native_memory {
    uint64_t low, high;
    uint64_t page;    /* known to be readable during this walk; 0: none */
    int is_elsewhere; /* something outside of [low, high) has been read */
};

struct native_cell {
    uint64_t address, value;
};

#define NATIVE_STEP_MAX_CELLS 3

enum native_step {
    NATIVE_STEP_TAKEN,
    NATIVE_STEP_OUTERMOST, /* there is no caller; where a zero return address says so, place->stack is right behind it */
    NATIVE_STEP_FAILED,    /* no row for it, or memory that can't be read: the stack is cut here */
};

/* A system call. */
COLD int native_page_is_readable(uint64_t page);

/* Goes to the caller; the place is left as it is when that fails. */
enum native_step native_step(struct native_memory *memory, const struct cfi_row *row, struct native_place *place);

/* The cells that the step from `from`, by this row, to its caller `to` depended on; without the saved frame pointer unless it is needed.
 * Returns how many. */
unsigned native_step_cells(const struct cfi_row *row, const struct native_place *from, const struct native_place *to,
                           int needs_frame_pointer, struct native_cell *ret_cells);

/* Does what is further out depend on this frame's frame pointer, if its caller `needs` its own? */
HOT_INLINE int native_step_needs_frame_pointer(const struct cfi_row *row, int needs)
{
    switch (cfi_row_kind(row)) {
    case CFI_FROM_FRAME:
    case CFI_FROM_MEMORY: return 1;
    case CFI_SIGNAL: return 0;
    default: return needs && !row->frame_pointer_offset;
    }
}

#endif
