/* See python_loop.h. */
#include "python_loop.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "elf_symbols.h"

#define LOOP_NAME "_PyEval_EvalFrameDefault"
#define COLD_NAME LOOP_NAME ".cold"

struct python_loop_part python_loop[PYTHON_LOOP_PARTS];

struct file_view {
    const char *bytes;
    uint64_t count;
};

static int open_file(const struct link_map *module)
{
    const char *path = module->l_name && *module->l_name ? module->l_name : "/proc/self/exe";
    return (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

/* Straight from the kernel: the program's hooks have nothing to see here. */
static int map_file(int file, struct file_view *ret_view)
{
    int64_t end = syscall(SYS_lseek, file, 0L, SEEK_END);
    if (end <= 0)
        return 0;
    long address = syscall(SYS_mmap, NULL, (size_t)end, PROT_READ, MAP_PRIVATE, file, 0L);
    if (address < 0 && address >= -4095)
        return 0;
    *ret_view = (struct file_view){(const char *)address, (uint64_t)end};
    return address != -1;
}

/* `bytes` from `offset` on, and aligned; NULL: the file has no such part. */
static const void *part_of(const struct file_view *file, uint64_t offset, uint64_t bytes)
{
    return offset % 8 == 0 && offset <= file->count && bytes <= file->count - offset ? file->bytes + offset : NULL;
}

static int is_cold_name(const char *name)
{
    const char *rest = name + sizeof COLD_NAME - 1;
    return !strncmp(name, COLD_NAME, sizeof COLD_NAME - 1) && (!*rest || *rest == '.');
}

/* The rare part in this table, if the function itself is where it is said to be: else it is another file by now. */
static void search(const ElfW(Sym) *symbols, uint64_t count, const char *names, uint64_t name_bytes, uint64_t load_bias)
{
    struct python_loop_part cold = {0, 0};
    int is_same = 0;
    for (uint64_t i = 0; i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF || symbol->st_name >= name_bytes)
            continue;
        const char *name = names + symbol->st_name;
        if (!strcmp(name, LOOP_NAME))
            is_same |= symbol->st_value + load_bias == python_loop[0].start && symbol->st_size == python_loop[0].bytes;
        else if (is_cold_name(name))
            cold = (struct python_loop_part){symbol->st_value + load_bias, symbol->st_size};
    }
    if (is_same)
        python_loop[1] = cold;
}

static void search_file(const struct file_view *file, uint64_t load_bias)
{
    const ElfW(Ehdr) *header = part_of(file, 0, sizeof *header);
    const ElfW(Shdr) *sections = header && !memcmp(header->e_ident, ELFMAG, SELFMAG) && header->e_shentsize == sizeof *sections
                                     ? part_of(file, header->e_shoff, header->e_shnum * sizeof *sections) : NULL;
    for (unsigned i = 0; sections && i < header->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i];
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= header->e_shnum)
            continue;
        const ElfW(Shdr) *strings = &sections[table->sh_link];
        const ElfW(Sym) *symbols = part_of(file, table->sh_offset, table->sh_size);
        const char *names = strings->sh_offset <= file->count && strings->sh_size <= file->count - strings->sh_offset
                                ? file->bytes + strings->sh_offset : NULL;
        if (symbols && names && strings->sh_size && !names[strings->sh_size - 1])
            search(symbols, table->sh_size / sizeof *symbols, names, strings->sh_size, load_bias);
    }
}

int python_loop_find(const struct link_map *interpreter)
{
    int saved_errno = errno;
    uint64_t bytes;
    const void *start = elf_symbols_find_extent(interpreter, LOOP_NAME, &bytes);
    if (!start || !bytes)
        return 0;
    python_loop[0] = (struct python_loop_part){(uintptr_t)start, bytes};
    struct file_view view;
    int file = open_file(interpreter);
    if (file >= 0 && map_file(file, &view)) {
        search_file(&view, interpreter->l_addr);
        syscall(SYS_munmap, view.bytes, (size_t)view.count);
    }
    if (file >= 0)
        syscall(SYS_close, file);
    errno = saved_errno;
    return 1;
}
