/* Is this code ours? The linker tells where this library's own code begins and ends. Any time, even before relocation. */
#ifndef HEAPLINE_CAPTURE_OWN_CODE_H
#define HEAPLINE_CAPTURE_OWN_CODE_H

#include <stdint.h>

#include "compiler.h"

INTERNAL const char __ehdr_start[];
INTERNAL const char _etext[];

HOT_INLINE int own_code_holds(const void *address)
{
    return (uintptr_t)address - (uintptr_t)__ehdr_start < (uintptr_t)_etext - (uintptr_t)__ehdr_start;
}

#endif
