/* Objects that look like CPython's to raw reads, in the layout of a version: for the tests of code_table.c, python_text.c, python_stack.c. */
#ifndef HEAPLINE_TESTS_PYTHON_OBJECTS_H
#define HEAPLINE_TESTS_PYTHON_OBJECTS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "python_api.h"
#include "python_layout.h"

static char python_objects_code_type[512];

static inline void python_objects_set(void *object, int offset, uint64_t word)
{
    memcpy((char *)object + offset, &word, sizeof word);
}

static inline void python_objects_set_int(void *object, int offset, int32_t value)
{
    memcpy((char *)object + offset, &value, sizeof value);
}

/* width 1: ASCII when is_ascii, else Latin-1; 2 and 4: UCS-2 and UCS-4. */
static inline void *python_objects_text(const struct python_layout *layout, const void *characters, uint64_t count, unsigned width,
                                        int is_ascii)
{
    int header = is_ascii ? layout->text_ascii : layout->text_compact;
    char *object = calloc(1, (size_t)header + (count + 1) * width);
    python_objects_set(object, 0, 1);
    python_objects_set(object, 16, count);
    python_objects_set_int(object, 32, (int32_t)(1u | width << 2 | 1u << 5 | (unsigned)is_ascii << 6));
    memcpy(object + header, characters, count * width);
    return object;
}

static inline void *python_objects_name(const struct python_layout *layout, const char *name)
{
    return python_objects_text(layout, name, strlen(name), 1, 1);
}

static inline void *python_objects_bytes(const void *bytes, uint64_t count)
{
    char *object = calloc(1, 33 + count);
    python_objects_set(object, 0, 1);
    python_objects_set(object, 16, count);
    memcpy(object + 32, bytes, count);
    return object;
}

/* The code object goes where the caller says: its address is what matters. At least 512 bytes. */
static inline void python_objects_code(const struct python_layout *layout, void *object, void *file, void *name, void *table, int32_t first_line)
{
    memset(object, 0, 512);
    python_objects_set(object, 0, 1);
    python_objects_set(object, PYTHON_OBJECT_TYPE, (uintptr_t)python_objects_code_type);
    python_objects_set(object, layout->code_file, (uintptr_t)file);
    python_objects_set(object, layout->code_name, (uintptr_t)name);
    python_objects_set(object, layout->code_table, (uintptr_t)table);
    python_objects_set_int(object, layout->code_first_line, first_line);
}

#endif
