/* Where CPython keeps what the stack walk reads: byte offsets into its structures, one layout a minor version.
 *
 * CPython 3.8 to 3.15 on LP64 machines, default builds. Taken from the versions' own headers; from 3.13 on an interpreter publishes its
 * offsets (_Py_DebugOffsets, at the start of _PyRuntime) and those decide. The readers below follow no rule but the layout: callers vouch
 * for the pointers. Any thread; allocates nothing. */
#ifndef HEAPLINE_CAPTURE_PYTHON_LAYOUT_H
#define HEAPLINE_CAPTURE_PYTHON_LAYOUT_H

#include <stdint.h>

#include "compiler.h"

struct python_layout {
    uint32_t version;         /* 0x030b: 3.11 */
    int16_t state_frame;      /* PyThreadState: innermost frame, or (3.11, 3.12) the _PyCFrame that points to it */
    int16_t cframe_frame;     /* _PyCFrame: innermost frame; NONE where there is no _PyCFrame */
    int16_t state_thread_id;  /* PyThreadState: pthread_self() of its thread */
    int16_t frame_previous;   /* frame: its caller */
    int16_t frame_code;       /* frame: its code object; from 3.14 on with tag bits */
    int16_t frame_instruction;/* frame: f_lasti (an int) before 3.11, then a pointer into the code */
    int16_t frame_owner;      /* frame: who owns its memory; OWNER_INTERPRETER and above are not frames of a program */
    int16_t code_units;       /* code: its first instruction; NONE before 3.11 */
    int16_t code_file, code_name, code_first_line, code_table;
    int16_t text_ascii, text_compact; /* str: bytes before the characters */
};

#define PYTHON_NONE (-1)
#define PYTHON_OWNER_INTERPRETER 3
#define PYTHON_TAG_MASK 7ull
#define PYTHON_OBJECT_TYPE 8 /* ob_type, in every object */

/*                             version  state  cframe   thread  previous code instr owner  units file name line table  ascii compact */
#define PYTHON_LAYOUT_3_8  {0x0308, 24, PYTHON_NONE, 176, 24, 32, 104, PYTHON_NONE, PYTHON_NONE, 104, 112, 40, 120, 48, 72}
#define PYTHON_LAYOUT_3_9  {0x0309, 24, PYTHON_NONE, 176, 24, 32, 104, PYTHON_NONE, PYTHON_NONE, 104, 112, 40, 120, 48, 72}
#define PYTHON_LAYOUT_3_10 {0x030a, 24, PYTHON_NONE, 176, 24, 32, 96, PYTHON_NONE, PYTHON_NONE, 104, 112, 40, 120, 48, 72}
#define PYTHON_LAYOUT_3_11 {0x030b, 56, 8, 152, 48, 32, 56, 69, 184, 112, 128, 72, 136, 48, 72}
#define PYTHON_LAYOUT_3_12 {0x030c, 56, 0, 136, 8, 0, 56, 70, 192, 112, 128, 68, 136, 40, 56}
#define PYTHON_LAYOUT_3_13 {0x030d, 72, PYTHON_NONE, 152, 8, 0, 56, 70, 200, 112, 128, 68, 136, 40, 56}
#define PYTHON_LAYOUT_3_14 {0x030e, 72, PYTHON_NONE, 152, 8, 0, 56, 74, 208, 112, 128, 68, 136, 40, 56}
#define PYTHON_LAYOUT_3_15 {0x030f, 72, PYTHON_NONE, 176, 8, 0, 56, 74, 208, 112, 128, 68, 136, 40, 56}

/* X(index in python_layouts, initializer): the versions known. */
#define PYTHON_LAYOUTS(X)    \
    X(0, PYTHON_LAYOUT_3_8)  \
    X(1, PYTHON_LAYOUT_3_9)  \
    X(2, PYTHON_LAYOUT_3_10) \
    X(3, PYTHON_LAYOUT_3_11) \
    X(4, PYTHON_LAYOUT_3_12) \
    X(5, PYTHON_LAYOUT_3_13) \
    X(6, PYTHON_LAYOUT_3_14) \
    X(7, PYTHON_LAYOUT_3_15)

#define PYTHON_LAYOUT_COUNT 8
#define PYTHON_LAYOUT_OTHER PYTHON_LAYOUT_COUNT /* a known version whose published offsets differ from ours */

INTERNAL const struct python_layout python_layouts[PYTHON_LAYOUT_COUNT];

enum python_layout_status {
    PYTHON_LAYOUT_KNOWN = 0,
    PYTHON_LAYOUT_UNKNOWN = 1,       /* another version, or offsets that make no sense */
    PYTHON_LAYOUT_FREE_THREADED = 2,
};

/* The layout of the interpreter that calls itself `version_text` (Py_GetVersion: "3.11.2 (main, …"). runtime: &_PyRuntime, or NULL.
 * ret_version is set whenever the text begins with a version; ret_layout and ret_index only with PYTHON_LAYOUT_KNOWN. */
enum python_layout_status python_layout_choose(const char *version_text, const void *runtime, uint32_t *ret_version,
                                               struct python_layout *ret_layout, unsigned *ret_index);

/* Does this thread state, with at least one frame, look as the layout says? Reads through the kernel, so that a wrong layout can't crash.
 * code_type: &PyCode_Type. */
int python_layout_fits(const struct python_layout *layout, const void *state, const void *code_type);

HOT_INLINE uint64_t python_read_word(uint64_t object, int offset)
{
    return *(const uint64_t __attribute__((may_alias)) *)(object + (uint64_t)offset);
}

HOT_INLINE int32_t python_read_int(uint64_t object, int offset)
{
    return *(const int32_t __attribute__((may_alias)) *)(object + (uint64_t)offset);
}

HOT_INLINE uint8_t python_read_byte(uint64_t object, int offset)
{
    return *(const uint8_t *)(object + (uint64_t)offset);
}

/* pthread_self() of the thread that this state belongs to. */
HOT_INLINE uint64_t python_layout_owner(const struct python_layout *layout, const void *state)
{
    return python_read_word((uintptr_t)state, layout->state_thread_id);
}

/* The reference count is not zero. Its lower half tells, in every version: an immortal object's is never zero there. */
HOT_INLINE int python_object_is_alive(uint64_t object)
{
    return python_read_int(object, 0) != 0;
}

#endif
