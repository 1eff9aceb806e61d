/* The layout of a trace file in numbers: magic, limits, header offsets, sections, opcodes (docs/trace_format.md is the norm).
 * Shared by the writing and the reading half; nothing outside lib/trace and its tests includes it. */
#ifndef HEAPLINE_TRACE_TRACE_FORMAT_H
#define HEAPLINE_TRACE_TRACE_FORMAT_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "compiler.h"

#define TRACE_MAGIC "HEAPLINE" /* 8 bytes, without a NUL */
#define TRACE_VERSION 5
#define TRACE_VERSION_RESAMPLED 4 /* of what needs nothing of version 5 */
#define TRACE_VERSION_ROTATED 3 /* … nor of version 4 */
#define TRACE_VERSION_PLAIN 2   /* of what needs nothing of version 3 either */
#define TRACE_FILE_HEADER_BYTES 96
#define TRACE_BLOCK_HEADER_BYTES 128
#define TRACE_END_BYTES 120
#define TRACE_BLOCK_SYNC 0x4b424c48u /* "HLBK" */

/* What a reader accepts … */
#define TRACE_MAX_RAW_BYTES (64u << 20)
#define TRACE_MAX_BLOCK_EVENTS (1u << 24)
#define TRACE_MAX_TALLY_EVENTS (1ull << 56)
/* … and where the writer closes a block. */
#define TRACE_BLOCK_RAW_BYTES (1u << 20)
#define TRACE_BLOCK_EVENTS (1u << 20)

#define TRACE_MAX_SIZE_BYTES ((1ull << 56) - 1) /* larger allocations and copies count as this */
#define TRACE_MAX_STRING_BYTES (1u << 20)       /* longer strings are cut */
#define TRACE_MAX_TABLE_BYTES (16u << 20)       /* larger line tables are left out */

enum trace_block_type { TRACE_BLOCK_DATA = 1, TRACE_BLOCK_END = 2, TRACE_BLOCK_TALLY = 3, TRACE_BLOCK_SEGMENT = 5 };

enum trace_section {
    SECTION_DEFINITIONS,
    SECTION_OPS,
    SECTION_STACKS,
    SECTION_SIZES,
    SECTION_CLASSES,
    SECTION_DISTANCES,
    SECTION_SLOTS,
    SECTION_TIMES,
    SECTION_MISC,
    SECTION_COUNT
};
#define TRACE_SECTION_TABLE_BYTES (4 * SECTION_COUNT)

/* ... and of a tally. */
enum tally_section {
    TALLY_SECTION_DEFINITIONS,
    TALLY_SECTION_FIGURES,
    TALLY_SECTION_MOMENTS,
    TALLY_SECTION_STACKS,
    TALLY_SECTION_COUNT
};
#define TALLY_SECTION_TABLE_BYTES (4 * TALLY_SECTION_COUNT)

/* ... and of what is live where a segment begins. */
enum segment_section {
    SEGMENT_SECTION_DEFINITIONS,
    SEGMENT_SECTION_GAPS,
    SEGMENT_SECTION_SIZES,
    SEGMENT_SECTION_FLAGS,
    SEGMENT_SECTION_STACKS,
    SEGMENT_SECTION_BIRTHS,
    SEGMENT_SECTION_LATEST,
    SEGMENT_SECTION_COUNT
};
#define SEGMENT_SECTION_TABLE_BYTES (4 * SEGMENT_SECTION_COUNT)
/* No more free slots lie between live ones than this, and so many for each that is live. */
#define SEGMENT_MAX_GAPS (1u << 20)
#define SEGMENT_MAX_GAP_SHARE 64u

/* ---- ops: one byte an event that was not predicted, or a run of events that were ---- */
#define OP_RUN 0x80u            /* the low 7 bits: predicted events, less one */
#define OP_RUN_MAX 128u

/* An allocation or a copy: 0x00 to 0x0f. */
#define OP_BLOCK_STACK_MASK 0x03u
enum op_block_stack {
    OP_STACK_PREDICTED, /* of the prediction */
    OP_STACK_NEW,       /* one above the highest so far */
    OP_STACK_SUCCESSOR, /* the one that followed the last stack before */
    OP_STACK_EXPLICIT,  /* in SECTION_STACKS */
};
#define OP_BLOCK_SIZE 0x04u     /* the size is in SECTION_SIZES; else the stack's last */
#define OP_BLOCK_CLASS 0x08u    /* the class is in SECTION_CLASSES; else the stack's last */

#define OP_FREE 0x10u           /* to 0x17 */
#define OP_FREE_REALLOC 0x01u
#define OP_FREE_MODE_SHIFT 1
enum op_free_mode {
    OP_FREE_DISTANCE,  /* in SECTION_DISTANCES */
    OP_FREE_STRIDE,    /* as far from the last deallocation's block as that one was from the one before */
    OP_FREE_ALTERNATE, /* the prediction's other figure is right */
    OP_FREE_SLOT,      /* in SECTION_SLOTS */
};

enum op_other {
    OP_SHRINK = 0x20,
    OP_UNDO_FREE,
    OP_TIME,
    OP_THREAD,
    OP_RSS,
    OP_LOST,
    OP_SMALL_COPIES,
    OP_UNKNOWN_FREES,
    OP_SAMPLING,
    OP_END
};

/* What an event is, in a byte: the part of it that a prediction carries beside stack and size, or distance. */
enum event_class {
    CLASS_NONE = 0,
    CLASS_COPY = 1,
    CLASS_FREE = 2,
    CLASS_FREE_REALLOC = 3,
    CLASS_ALLOCATE = 0x40, /* + enum trace_allocation_flag */
};
#define CLASS_FLAGS 0x3fu

HOT_INLINE void put_u32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
}

HOT_INLINE void put_u64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
}

HOT_INLINE uint32_t get_u32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return le32toh(value);
}

HOT_INLINE uint64_t get_u64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return le64toh(value);
}

#endif
