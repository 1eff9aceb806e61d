/* What the file of a process's program says of it, by /proc/PID/exe. The file is the program's from the instant of the execve on; what is mapped
 * into the process is only once its loader has been at work. Does not allocate. */
#ifndef HEAPLINE_INJECT_PROCESS_PROGRAM_H
#define HEAPLINE_INJECT_PROCESS_PROGRAM_H

#include <sys/types.h>

struct process_program {
    int elf_class, machine; /* e_ident[EI_CLASS] and e_machine of elf(5) */
    int has_loader;         /* it names one (PT_INTERP), or is one that was told which program to run */
    int is_musl;            /* that loader is musl's */
};

/* 0, or -1 with errno: ENOENT where there is no file, as of a thread of the kernel. */
int process_program_read(pid_t pid, struct process_program *ret_program);

#endif
