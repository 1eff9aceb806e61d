/* See native_machine.h. DWARF for the Arm 64-bit Architecture, 4.1: register numbers; libunwind gives the program counter the next one. */
#ifndef HEAPLINE_CAPTURE_NATIVE_MACHINE_AARCH64_H
#define HEAPLINE_CAPTURE_NATIVE_MACHINE_AARCH64_H

#include <stdint.h>

#include "compiler.h"

#define NATIVE_MACHINE_HAS_ROWS 0
#define NATIVE_MACHINE_LIBUNWIND "libunwind-aarch64.so.8"
/* Is libunwind's signal frame the one that the handler returns to, or the one that the signal interrupted? */
#define NATIVE_MACHINE_SIGNAL_FRAME_IS_TRAMPOLINE 1

enum { NATIVE_REGISTER_FRAME = 29, NATIVE_REGISTER_STACK = 31, NATIVE_REGISTER_ADDRESS = 32, NATIVE_REGISTER_COUNT = 33 };

/* What a called function has to keep, and the link register: no caller can want more. */
#define NATIVE_REGISTERS_KEPT 0x1fff80000ull /* x19 to x30, sp, pc */

/* The registers of the function that this is inlined in. */
HOT_INLINE void native_machine_registers(uint64_t *registers)
{
    __asm__ volatile("stp x19, x20, [%0, #152]\n\t"
                     "stp x21, x22, [%0, #168]\n\t"
                     "stp x23, x24, [%0, #184]\n\t"
                     "stp x25, x26, [%0, #200]\n\t"
                     "stp x27, x28, [%0, #216]\n\t"
                     "stp x29, x30, [%0, #232]\n\t"
                     "mov x9, sp\n\t"
                     "adr x10, .\n\t"
                     "stp x9, x10, [%0, #248]"
                     :
                     : "r"(registers)
                     : "x9", "x10", "memory");
}

#endif
