/* Reads ELF headers and interpreter lines: see executable.h. */
#include "executable.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MAX_PROGRAM_HEADERS 128

static int is_privileged(const char *path, const struct stat *status)
{
    if ((status->st_mode & S_ISUID) && status->st_uid != geteuid())
        return 1;
    if ((status->st_mode & S_ISGID) && (status->st_mode & S_IXGRP) && status->st_gid != getegid())
        return 1;
    return geteuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

/* Our own processor, as the kernel's loader knows it. */
static int own_machine(void)
{
    Elf64_Ehdr header;
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int machine = EM_NONE;
    if (file >= 0 && pread(file, &header, sizeof header, 0) == sizeof header)
        machine = header.e_machine;
    if (file >= 0)
        close(file);
    return machine;
}

static enum executable_kind inspect_loader(int file, const Elf64_Phdr *program)
{
    char loader[256] = "";
    size_t size = program->p_filesz < sizeof loader - 1 ? (size_t)program->p_filesz : sizeof loader - 1;
    if (pread(file, loader, size, (off_t)program->p_offset) != (ssize_t)size)
        return EXECUTABLE_OTHER;
    return strstr(loader, "musl") ? EXECUTABLE_FOREIGN_LIBC : EXECUTABLE_FINE;
}

static enum executable_kind inspect_elf(int file, const Elf64_Ehdr *header)
{
    if (header->e_ident[EI_CLASS] != ELFCLASS64)
        return EXECUTABLE_32_BIT;
    int machine = own_machine();
    if (machine != EM_NONE && header->e_machine != machine)
        return EXECUTABLE_FOREIGN;
    for (int i = 0; i < header->e_phnum && i < MAX_PROGRAM_HEADERS; i++) {
        Elf64_Phdr program;
        if (pread(file, &program, sizeof program, (off_t)(header->e_phoff + (Elf64_Off)i * header->e_phentsize)) != sizeof program)
            return EXECUTABLE_OTHER;
        if (program.p_type == PT_INTERP)
            return inspect_loader(file, &program);
    }
    return EXECUTABLE_STATIC;
}

enum executable_kind executable_inspect(const char *path)
{
    Elf64_Ehdr header = {0};
    struct stat status;
    enum executable_kind kind = EXECUTABLE_OTHER;
    if (stat(path, &status) == 0 && is_privileged(path, &status))
        return EXECUTABLE_PRIVILEGED;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return EXECUTABLE_UNREADABLE;
    ssize_t got = pread(file, &header, sizeof header, 0);
    if (got >= 2 && header.e_ident[0] == '#' && header.e_ident[1] == '!')
        kind = EXECUTABLE_SCRIPT;
    else if (got >= EI_NIDENT && memcmp(header.e_ident, ELFMAG, SELFMAG) == 0)
        kind = inspect_elf(file, &header);
    close(file);
    return kind;
}

int executable_script_line(const char *path, char *out, int size)
{
    char line[256] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return -1;
    ssize_t got = pread(file, line, sizeof line - 1, 0);
    close(file);
    if (got < 3 || line[0] != '#' || line[1] != '!')
        return -1;
    line[strcspn(line, "\r\n")] = '\0';
    const char *begin = line + 2 + strspn(line + 2, " \t");
    size_t length = strlen(begin);
    while (length && (begin[length - 1] == ' ' || begin[length - 1] == '\t'))
        length--;
    if (length == 0 || length >= (size_t)size)
        return -1;
    memcpy(out, begin, length);
    out[length] = '\0';
    return 0;
}
