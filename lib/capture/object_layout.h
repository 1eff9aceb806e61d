/* Where CPython keeps what a survey of its objects reads beyond a stack's frames (python_layout.h): byte offsets, one layout a minor version,
 * and the ways from an object to its type, its dictionary, its attributes.
 *
 * CPython 3.8 to 3.15 on LP64 machines, default builds; taken from the versions' own headers. All of it is read with the GIL held, of objects
 * that the collector of cycles could visit at this moment. Allocates nothing, runs no code of the program's. */
#ifndef HEAPLINE_CAPTURE_OBJECT_LAYOUT_H
#define HEAPLINE_CAPTURE_OBJECT_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "python_frame.h"
#include "python_layout.h"

struct object_layout {
    uint32_t version;
    int16_t tuple_items;
    int16_t frame_locals;    /* f_locals: a mapping, or NULL */
    int16_t frame_globals;
    int16_t frame_function;  /* NONE before 3.11 */
    int16_t frame_slots;     /* local variables, cells, free variables */
    int16_t code_slot_count; /* 3.11: co_nlocalsplus; before: co_nlocals, cells and free variables come on top */
    int16_t code_slot_names; /* 3.11: co_localsplusnames; before: co_varnames */
    int16_t code_free_names; /* before 3.11: co_freevars */
    int16_t code_cell_names; /* before 3.11: co_cellvars */
    int16_t code_free_count; /* 3.11: co_nfreevars */
    int16_t function_code, function_closure;
    int16_t type_shared_keys; /* ht_cached_keys */
    int16_t generator_frame;  /* 3.11: the frame within; before: a pointer to it, which an attribute of the generator names as well */
    int16_t module_name;
    int16_t bytearray_block;  /* 3.15: a bytes object of its own */
};

#define OBJECT_LAYOUT_COUNT 8
static const struct object_layout object_layouts[OBJECT_LAYOUT_COUNT] = {
    /*       tuple locals globals function slots  count names free cell free count  code closure  keys  generator module bytearray */
    {0x0308, 24, 56, 48, PYTHON_NONE, 360, 28, 72, 80, 88, PYTHON_NONE, 16, 48, PYTHON_NONE, PYTHON_NONE, 48, 32},
    {0x0309, 24, 56, 48, PYTHON_NONE, 360, 28, 72, 80, 88, PYTHON_NONE, 16, 48, PYTHON_NONE, PYTHON_NONE, 48, 32},
    {0x030a, 24, 56, 48, PYTHON_NONE, 352, 28, 72, 80, 88, PYTHON_NONE, 48, 72, PYTHON_NONE, PYTHON_NONE, 48, 32},
    {0x030b, 24, 24, 8, 0, 72, 76, 96, PYTHON_NONE, PYTHON_NONE, 92, 48, 72, 872, 80, 48, 32},
    {0x030c, 24, 40, 24, 16, 72, 72, 96, PYTHON_NONE, PYTHON_NONE, 88, 48, 72, 880, 72, 48, 32},
    {0x030d, 24, 40, 24, 16, 72, 72, 96, PYTHON_NONE, PYTHON_NONE, 88, 48, 72, 880, 72, 48, 32},
    {0x030e, 32, 40, 24, 16, 80, 72, 96, PYTHON_NONE, PYTHON_NONE, 88, 48, 72, 880, 72, 48, 32},
    {0x030f, 32, 40, 24, 16, 80, 72, 96, PYTHON_NONE, PYTHON_NONE, 88, 48, 72, 888, 72, 40, 56},
};

/* The same in every version. */
enum {
    TYPE_NAME = 24, TYPE_BASIC_BYTES = 32, TYPE_FLAGS = 168, TYPE_TRAVERSE = 184, TYPE_MEMBERS = 240, TYPE_BASE = 256, TYPE_DICT = 264,
    TYPE_DICT_OFFSET = 288, TYPE_IS_GC = 328, TYPE_MRO = 344,
    OBJECT_SIZE = 16, LIST_ITEMS = 24, DICT_KEYS = 32, DICT_VALUES = 40, SET_TABLE = 40, SET_SMALL_TABLE = 64,
    MODULE_DICT = 16,
    LONG_DIGITS = 24, FRAME_OBJECT_FRAME = 24 /* from 3.11 on */,
    KEYS_INDEX_LOG = 9, KEYS_KIND = 10, KEYS_ENTRY_COUNT = 24, KEYS_INDICES = 32,
    GC_HEAD_BYTES = 16, GC_NEXT = -16,
};

enum type_flag {
    TYPE_HAS_INLINE_VALUES = 1 << 2,   /* 3.13 */
    TYPE_HAS_MANAGED_WEAKREF = 1 << 3, /* 3.12 */
    TYPE_HAS_MANAGED_DICT = 1 << 4,    /* 3.11 */
    TYPE_IS_HEAP = 1 << 9,
    TYPE_HAS_GC = 1 << 14,
    TYPE_IS_LIST = 1 << 25,
    TYPE_IS_TUPLE = 1 << 26,
    TYPE_IS_DICT = 1 << 29,
};
#define TYPE_IS_TYPE (1u << 31)

HOT_INLINE uint64_t object_type(uint64_t object)
{
    return python_read_word(object, PYTHON_OBJECT_TYPE);
}

HOT_INLINE uint64_t type_flags(uint64_t type)
{
    return python_read_word(type, TYPE_FLAGS);
}

/* What precedes an object of this type in its block. */
static inline uint32_t type_head_bytes(const struct object_layout *layout, uint64_t flags)
{
    uint32_t bytes = flags & TYPE_HAS_GC ? GC_HEAD_BYTES : 0;
    if (layout->version == VERSION_3_11 && flags & TYPE_HAS_MANAGED_DICT)
        bytes += 16;
    if (layout->version >= VERSION_3_12 && flags & (TYPE_HAS_MANAGED_DICT | TYPE_HAS_MANAGED_WEAKREF))
        bytes += 16;
    return bytes;
}

/* ---- an instance's attributes ---- */

/* Values that an instance keeps without a dictionary (3.11 and later): in order of its type's shared keys. NULL: it has none. */
static inline const uint64_t *object_values(const struct object_layout *layout, uint64_t object, uint64_t flags)
{
    if (!(flags & TYPE_HAS_MANAGED_DICT))
        return NULL;
    if (layout->version == VERSION_3_11)
        return (const uint64_t *)python_read_word(object, -32);
    if (layout->version == VERSION_3_12) {
        uint64_t word = python_read_word(object, -24);
        return word & 1 ? (const uint64_t *)(word + 1) : NULL;
    }
    if (!(flags & TYPE_HAS_INLINE_VALUES))
        return NULL;
    uint64_t values = object + python_read_word(object_type(object), TYPE_BASIC_BYTES);
    return python_read_byte(values, 3) ? (const uint64_t *)(values + 8) : NULL;
}

/* The block of an instance's or a dictionary's values, which begins with as many bytes as its last one before the values says; before 3.11
 * with the values. */
static inline uint64_t values_block(const struct object_layout *layout, uint64_t values)
{
    if (layout->version >= VERSION_3_11 && layout->version <= VERSION_3_12)
        return values - python_read_byte(values, -1);
    return values;
}

/* Its dictionary, 0: it has none now. */
static inline uint64_t object_dictionary(const struct object_layout *layout, uint64_t object, uint64_t type, uint64_t flags)
{
    if (flags & TYPE_HAS_MANAGED_DICT) {
        uint64_t word = layout->version >= VERSION_3_11 ? python_read_word(object, -24) : 0;
        return layout->version == VERSION_3_12 && word & 1 ? 0 : word;
    }
    int64_t offset = (int64_t)python_read_word(type, TYPE_DICT_OFFSET);
    return offset > 0 && offset < 1 << 20 ? python_read_word(object, (int)offset) : 0;
}

#endif
