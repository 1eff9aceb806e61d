/* The raw reader of interpreter frames: what a frame says of itself, by the layout of its version. With a constant layout each is a load or
 * two. The rules of python_stack.h hold: a thread's own frames, never from a deallocation. */
#ifndef HEAPLINE_CAPTURE_PYTHON_FRAME_H
#define HEAPLINE_CAPTURE_PYTHON_FRAME_H

#include <stdint.h>

#include "compiler.h"
#include "python_layout.h"

#define VERSION_3_10 0x030a
#define VERSION_3_11 0x030b
#define VERSION_3_12 0x030c
#define VERSION_3_13 0x030d

HOT_INLINE uint64_t python_frame_top(const struct python_layout *layout, const void *state)
{
    uint64_t frame = python_read_word((uintptr_t)state, layout->state_frame);
    if (layout->cframe_frame != PYTHON_NONE && likely(frame))
        frame = python_read_word(frame, layout->cframe_frame);
    return frame;
}

HOT_INLINE uint64_t python_frame_caller(const struct python_layout *layout, uint64_t frame)
{
    return python_read_word(frame, layout->frame_previous);
}

HOT_INLINE uint64_t python_frame_code(const struct python_layout *layout, uint64_t frame)
{
    uint64_t code = python_read_word(frame, layout->frame_code);
    return layout->version >= 0x030e ? code & ~PYTHON_TAG_MASK : code;
}

/* From 3.11 on the instruction pointer alone tells code and place. Before, code objects are more than 128 bytes apart and addresses have
 * 47 bits: the sum is unique below 2^24 bytes of bytecode. */
HOT_INLINE uint64_t python_frame_key(const struct python_layout *layout, uint64_t frame)
{
    if (layout->code_units != PYTHON_NONE)
        return python_read_word(frame, layout->frame_instruction);
    return (python_read_word(frame, layout->frame_code) << 17) + (uint64_t)(int64_t)python_read_int(frame, layout->frame_instruction);
}

/* 3.11 alone: the loop that runs this frame was called for it. */
HOT_INLINE int python_frame_has_entry_mark(const struct python_layout *layout)
{
    return layout->version == VERSION_3_11;
}

#define FRAME_IS_ENTRY_3_11 68

/* The same, for stacks in segments. */
HOT_INLINE uint64_t python_frame_segment_key(const struct python_layout *layout, uint64_t frame, int segmented)
{
    uint64_t key = python_frame_key(layout, frame);
    return segmented && python_frame_has_entry_mark(layout) ? key ^ (uint64_t)python_read_byte(frame, FRAME_IS_ENTRY_3_11) << 63 : key;
}

HOT_INLINE int32_t python_frame_instruction(const struct python_layout *layout, uint64_t frame, uint64_t code)
{
    if (layout->code_units == PYTHON_NONE)
        return python_read_int(frame, layout->frame_instruction);
    int64_t bytes = (int64_t)(python_read_word(frame, layout->frame_instruction) - code - (uint64_t)layout->code_units);
    return (int32_t)(bytes >> 1);
}

/* The interpreter's own entry frames belong to no program; 3.12 and later. */
HOT_INLINE int python_frame_is_shim(const struct python_layout *layout, uint64_t frame)
{
    return layout->version >= 0x030c && python_read_byte(frame, layout->frame_owner) >= PYTHON_OWNER_INTERPRETER;
}

/* Was the loop that runs this frame called for it? */
HOT_INLINE int python_frame_is_entry(const struct python_layout *layout, uint64_t frame)
{
    if (layout->version >= VERSION_3_12)
        return python_frame_is_shim(layout, frame);
    return python_frame_has_entry_mark(layout) ? python_read_byte(frame, FRAME_IS_ENTRY_3_11) : 1;
}

#endif
