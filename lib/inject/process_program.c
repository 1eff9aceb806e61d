/* See process_program.h. Formats: elf(5). */
#include "process_program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "process_maps.h"

#define MAX_PROGRAM_HEADERS 128

/* 1: the program names a loader. A static one has none, and a static-pie has none either, though it is relocated. */
static int find_interpreter(int file, const Elf64_Ehdr *header, Elf64_Phdr *ret_segment)
{
    for (unsigned i = 0; i < header->e_phnum && i < MAX_PROGRAM_HEADERS; i++) {
        off_t at = (off_t)(header->e_phoff + (Elf64_Off)i * header->e_phentsize);
        if (pread(file, ret_segment, sizeof *ret_segment, at) != sizeof *ret_segment)
            return 0;
        if (ret_segment->p_type == PT_INTERP)
            return 1;
    }
    return 0;
}

static void read_loader(int file, const char *path, const Elf64_Ehdr *header, struct process_program *program)
{
    Elf64_Phdr segment;
    char loader[256] = "";
    if (find_interpreter(file, header, &segment)) {
        size_t bytes = segment.p_filesz < sizeof loader - 1 ? segment.p_filesz : sizeof loader - 1;
        program->has_loader = pread(file, loader, bytes, (off_t)segment.p_offset) == (ssize_t)bytes;
        program->is_musl = strstr(loader, "musl") != NULL;
        return;
    }
    /* "ld.so PROGRAM": a loader names no loader. */
    ssize_t bytes = readlink(path, loader, sizeof loader - 1);
    program->is_musl = bytes > 0 && strstr(loader, "ld-musl") != NULL;
    program->has_loader = bytes > 0 && (program->is_musl || mapped_file_is_loader(&(struct mapped_file){.path = loader}));
}

int process_program_read(pid_t pid, struct process_program *ret_program)
{
    char path[32];
    Elf64_Ehdr header;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t bytes = pread(file, &header, sizeof header, 0);
    int saved_errno = bytes < 0 ? errno : ENOEXEC;
    if (bytes == sizeof header) {
        *ret_program = (struct process_program){.elf_class = header.e_ident[EI_CLASS], .machine = header.e_machine};
        if (ret_program->elf_class == ELFCLASS64)
            read_loader(file, path, &header, ret_program);
    }
    close(file);
    errno = saved_errno;
    return bytes == sizeof header ? 0 : -1;
}
