/* What native stacks need to know of a processor: its registers, by DWARF's numbers, and whether frames can be stepped over by rows of call
 * frame information (cfi.h), which lean on where the return address lies. Elsewhere libunwind makes all steps (native_fallback.h).
 * One header a processor. */
#ifndef HEAPLINE_CAPTURE_NATIVE_MACHINE_H
#define HEAPLINE_CAPTURE_NATIVE_MACHINE_H

#if defined(__x86_64__)
#include "native_machine_x86_64.h"
#elif defined(__aarch64__)
#include "native_machine_aarch64.h"
#else
#error "native stacks: which registers does this processor have?"
#endif

#endif
