/* See slots.h. Formats: the System V gABI chapter 5 and the processor supplements' relocation types. */
#include "slots.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES 4096ul

const struct slots_name slots_names[] = {
    {"malloc", SLOTS_ALLOCATION}, {"calloc", SLOTS_ALLOCATION}, {"posix_memalign", SLOTS_ALLOCATION}, {"aligned_alloc", SLOTS_ALLOCATION},
    {"memalign", SLOTS_ALLOCATION}, {"valloc", SLOTS_ALLOCATION}, {"pvalloc", SLOTS_ALLOCATION}, {"_Znwm", SLOTS_ALLOCATION},
    {"_Znam", SLOTS_ALLOCATION}, {"_ZnwmRKSt9nothrow_t", SLOTS_ALLOCATION}, {"_ZnamRKSt9nothrow_t", SLOTS_ALLOCATION},
    {"_ZnwmSt11align_val_t", SLOTS_ALLOCATION}, {"_ZnamSt11align_val_t", SLOTS_ALLOCATION},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", SLOTS_ALLOCATION}, {"_ZnamSt11align_val_tRKSt9nothrow_t", SLOTS_ALLOCATION},
    {"free", SLOTS_RELEASE}, {"realloc", SLOTS_RELEASE}, {"reallocarray", SLOTS_RELEASE}, {"cfree", SLOTS_RELEASE},
    {"free_sized", SLOTS_RELEASE}, {"free_aligned_sized", SLOTS_RELEASE}, {"malloc_usable_size", SLOTS_RELEASE},
    {"_ZdlPv", SLOTS_RELEASE}, {"_ZdaPv", SLOTS_RELEASE}, {"_ZdlPvm", SLOTS_RELEASE}, {"_ZdaPvm", SLOTS_RELEASE},
    {"_ZdlPvRKSt9nothrow_t", SLOTS_RELEASE}, {"_ZdaPvRKSt9nothrow_t", SLOTS_RELEASE}, {"_ZdlPvSt11align_val_t", SLOTS_RELEASE},
    {"_ZdaPvSt11align_val_t", SLOTS_RELEASE}, {"_ZdlPvmSt11align_val_t", SLOTS_RELEASE}, {"_ZdaPvmSt11align_val_t", SLOTS_RELEASE},
    {"mmap", SLOTS_MAPPING}, {"mmap64", SLOTS_MAPPING}, {"munmap", SLOTS_MAPPING}, {"mremap", SLOTS_MAPPING}, {"brk", SLOTS_MAPPING},
    {"sbrk", SLOTS_MAPPING},
    {"fork", SLOTS_PROCESS}, {"execve", SLOTS_PROCESS}, {"execv", SLOTS_PROCESS}, {"execvpe", SLOTS_PROCESS}, {"execvp", SLOTS_PROCESS},
    {"fexecve", SLOTS_PROCESS}, {"execveat", SLOTS_PROCESS}, {"execl", SLOTS_PROCESS}, {"execlp", SLOTS_PROCESS},
    {"execle", SLOTS_PROCESS}, {"posix_spawn", SLOTS_PROCESS}, {"posix_spawnp", SLOTS_PROCESS}, {"_exit", SLOTS_PROCESS},
    {"_Exit", SLOTS_PROCESS}, {"quick_exit", SLOTS_PROCESS}, {"dlsym", SLOTS_PROCESS}, {"dlclose", SLOTS_PROCESS},
    {"pthread_setname_np", SLOTS_PROCESS},
    {"memcpy", SLOTS_COPY}, {"memmove", SLOTS_COPY}, {"mempcpy", SLOTS_COPY}, {"__mempcpy", SLOTS_COPY}, {"__memcpy_chk", SLOTS_COPY},
    {"__memmove_chk", SLOTS_COPY}, {"__mempcpy_chk", SLOTS_COPY}, {"strcpy", SLOTS_COPY}, {"stpcpy", SLOTS_COPY}, {"strncpy", SLOTS_COPY},
    {"stpncpy", SLOTS_COPY}, {"strcat", SLOTS_COPY}, {"strncat", SLOTS_COPY}, {"__strcpy_chk", SLOTS_COPY}, {"__stpcpy_chk", SLOTS_COPY},
    {"__strncpy_chk", SLOTS_COPY}, {"__stpncpy_chk", SLOTS_COPY}, {"__strcat_chk", SLOTS_COPY}, {"__strncat_chk", SLOTS_COPY},
};
const unsigned slots_name_count = ARRAY_LENGTH(slots_names);

/* A bit for what a name of ours may begin with: nearly all of a module's names are others'. Every name has three letters. */
static uint64_t beginnings[4];

static unsigned beginning_of(const char *name)
{
    return ((uint8_t)name[0] + (name[0] ? (uint8_t)name[1] * 7u + (name[1] ? (uint8_t)name[2] * 31u : 0) : 0)) & 255;
}

static void note_beginnings(void)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(slots_names); i++) {
        unsigned beginning = beginning_of(slots_names[i].name);
        beginnings[beginning / 64] |= 1ull << beginning % 64;
    }
}

int slots_find_name(const char *name)
{
    unsigned beginning = beginning_of(name);
    if (!beginnings[0])
        note_beginnings();
    if (!(beginnings[beginning / 64] >> beginning % 64 & 1))
        return -1;
    for (unsigned i = 0; i < ARRAY_LENGTH(slots_names); i++)
        if (slots_names[i].name[0] == name[0] && !strcmp(slots_names[i].name, name))
            return (int)i;
    return -1;
}

const struct link_map *slots_own_map(void)
{
    struct dl_find_object found;
    return _dl_find_object((void *)(uintptr_t)&slots_own_map, &found) == 0 ? found.dlfo_link_map : NULL;
}

/* ---- one module ---- */

static const void *run_time_pointer(uintptr_t bias, ElfW(Addr) pointer)
{
    return (const void *)(pointer < bias ? pointer + bias : pointer);
}

static void read_dynamic(struct slots_module *module, const ElfW(Dyn) *entry)
{
    for (; entry->d_tag != DT_NULL; entry++) {
        const void *pointer = run_time_pointer(module->bias, entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_SYMTAB: module->symbols = pointer; break;
        case DT_STRTAB: module->strings = pointer; break;
        case DT_RELA: module->relocations[0] = pointer; break;
        case DT_RELASZ: module->counts[0] = entry->d_un.d_val / sizeof(ElfW(Rela)); break;
        case DT_JMPREL: module->relocations[1] = pointer; break;
        case DT_PLTRELSZ: module->counts[1] = entry->d_un.d_val / sizeof(ElfW(Rela)); break;
        case DT_SYMBOLIC: module->is_symbolic = 1; break;
        case DT_FLAGS: module->is_symbolic |= (entry->d_un.d_val & DF_SYMBOLIC) != 0; break;
        default: break;
        }
    }
    for (int table = 0; table < 2; table++)
        if (!module->relocations[table])
            module->counts[table] = 0;
}

static int is_ours_or_loader(const struct slots_module *module)
{
    uintptr_t own = (uintptr_t)&slots_own_map;
    return (own >= module->start && own < module->end) || module->bias == _r_debug.r_ldbase;
}

int slots_read_module(const struct dl_phdr_info *info, struct slots_module *ret_module)
{
    const ElfW(Dyn) *dynamic = NULL;
    struct slots_module module = {.bias = info->dlpi_addr, .start = UINTPTR_MAX};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        if (segment->p_type == PT_LOAD) {
            module.start = start < module.start ? start : module.start;
            module.end = end > module.end ? end : module.end;
        } else if (segment->p_type == PT_DYNAMIC) {
            dynamic = (const ElfW(Dyn) *)start;
        } else if (segment->p_type == PT_GNU_RELRO) {
            module.sealed_start = start & ~(PAGE_BYTES - 1);
            module.sealed_end = end & ~(PAGE_BYTES - 1);
        }
    }
    if (!dynamic)
        return 0;
    read_dynamic(&module, dynamic);
    if (!module.symbols || !module.strings || is_ours_or_loader(&module))
        return 0;
    *ret_module = module;
    return 1;
}

int slots_read_slot(const struct slots_module *module, const ElfW(Rela) *relocation, struct slots_slot *ret_slot)
{
    unsigned type = ELF64_R_TYPE(relocation->r_info);
    const ElfW(Sym) *symbol = &module->symbols[ELF64_R_SYM(relocation->r_info)];
    if ((type != SLOT_CALL && type != SLOT_GLOBAL && type != SLOT_DATA) || !ELF64_R_SYM(relocation->r_info) ||
        (type == SLOT_DATA && relocation->r_addend))
        return 0;
    int name = slots_find_name(module->strings + symbol->st_name);
    uintptr_t slot = module->bias + relocation->r_offset;
    if (name < 0 || slot < module->start || slot + sizeof slot > module->end || slot % sizeof slot)
        return 0;
    int is_defined = symbol->st_shndx != SHN_UNDEF;
    *ret_slot = (struct slots_slot){slot, __atomic_load_n((uintptr_t *)slot, __ATOMIC_RELAXED), type, name, is_defined,
                                    is_defined && (module->is_symbolic || ELF64_ST_VISIBILITY(symbol->st_other) != STV_DEFAULT)};
    return 1;
}

int slots_is_sealed(const struct slots_module *module, uintptr_t slot)
{
    return slot >= module->sealed_start && slot < module->sealed_end;
}

void slots_close(struct slots_page *page)
{
    if (page->open)
        mprotect((void *)page->open, PAGE_BYTES, PROT_READ);
    page->open = 0;
}

static int open_page(struct slots_page *page, uintptr_t slot, int is_sealed)
{
    uintptr_t wanted = is_sealed ? slot & ~(PAGE_BYTES - 1) : 0;
    if (wanted == page->open)
        return 1;
    slots_close(page);
    if (wanted && mprotect((void *)wanted, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return 0;
    page->open = wanted;
    return 1;
}

/* To a page that the loader has not sealed yet, as another thread is still in the middle of loading its module: sealing it now would stop that
 * thread. Through the kernel, which tells that a page is sealed and does not fault. Nobody calls through such a slot yet. */
static int write_unsealed(uintptr_t slot, uintptr_t value)
{
    struct iovec from = {&value, sizeof value}, to = {(void *)slot, sizeof value};
    return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == sizeof value;
}

int slots_write(struct slots_page *page, uintptr_t slot, uintptr_t value, int is_sealed)
{
    if (is_sealed && page->open != (slot & ~(PAGE_BYTES - 1)) && write_unsealed(slot, value))
        return 1;
    if (!open_page(page, slot, is_sealed))
        return 0;
    __atomic_store_n((uintptr_t *)slot, value, __ATOMIC_RELEASE);
    return 1;
}
