/* See native_machine.h. System V ABI, AMD64 supplement, 3.36: DWARF register numbers. */
#ifndef HEAPLINE_CAPTURE_NATIVE_MACHINE_X86_64_H
#define HEAPLINE_CAPTURE_NATIVE_MACHINE_X86_64_H

#include <stdint.h>

#include "compiler.h"

#define NATIVE_MACHINE_HAS_ROWS 1
#define NATIVE_MACHINE_LIBUNWIND "libunwind-x86_64.so.8"
/* Is libunwind's signal frame the one that the handler returns to, or the one that the signal interrupted? */
#define NATIVE_MACHINE_SIGNAL_FRAME_IS_TRAMPOLINE 0

enum { NATIVE_REGISTER_FRAME = 6, NATIVE_REGISTER_STACK = 7, NATIVE_REGISTER_ADDRESS = 16, NATIVE_REGISTER_COUNT = 17 };

/* What a called function has to keep: no caller can want more. */
#define NATIVE_REGISTERS_KEPT 0x1f0c8ull /* rbx, rbp, rsp, r12 to r15, rip */

/* The registers of the function that this is inlined in. */
HOT_INLINE void native_machine_registers(uint64_t *registers)
{
    __asm__ volatile("movq %%rbx, 24(%0)\n\t"
                     "movq %%rbp, 48(%0)\n\t"
                     "movq %%rsp, 56(%0)\n\t"
                     "movq %%r12, 96(%0)\n\t"
                     "movq %%r13, 104(%0)\n\t"
                     "movq %%r14, 112(%0)\n\t"
                     "movq %%r15, 120(%0)\n\t"
                     "leaq 0(%%rip), %%rax\n\t"
                     "movq %%rax, 128(%0)"
                     :
                     : "r"(registers)
                     : "rax", "memory");
}

#endif
