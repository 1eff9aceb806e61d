/* See late_redirect.h. Formats: the System V gABI chapter 5 and the processor supplements' relocation types. */
#include "late_redirect.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>

#include "elf_symbols.h"
#include "lock.h"
#include "pages.h"
#include "real.h"

#if defined(__x86_64__)
#define SLOT_CALL R_X86_64_JUMP_SLOT
#define SLOT_TABLE R_X86_64_GLOB_DAT
#define SLOT_DATA R_X86_64_64
#elif defined(__aarch64__)
#define SLOT_CALL R_AARCH64_JUMP_SLOT
#define SLOT_TABLE R_AARCH64_GLOB_DAT
#define SLOT_DATA R_AARCH64_ABS64
#endif

#define PAGE_BYTES 4096ul

/* ---- the functions ---- */

/* All that the library exports for programs to call. Copies last. */
static const char *const names[] = {
    "malloc", "free", "calloc", "realloc", "reallocarray", "posix_memalign", "aligned_alloc", "memalign", "valloc", "pvalloc", "cfree",
    "free_sized", "free_aligned_sized", "malloc_usable_size",
    "_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t", "_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t", "_ZdaPvmSt11align_val_t",
    "mmap", "mmap64", "munmap", "mremap", "brk", "sbrk",
    "fork", "execve", "execv", "execvpe", "execvp", "fexecve", "execveat", "execl", "execlp", "execle", "posix_spawn",
    "posix_spawnp", "_exit", "_Exit", "quick_exit",
    "dlsym", "dlclose", "pthread_setname_np",
#define FIRST_COPY "memcpy"
    FIRST_COPY, "memmove", "mempcpy", "__mempcpy", "__memcpy_chk", "__memmove_chk", "__mempcpy_chk", "strcpy", "stpcpy", "strncpy", "stpncpy",
    "strcat", "strncat", "__strcpy_chk", "__stpcpy_chk", "__strncpy_chk", "__stpncpy_chk", "__strcat_chk", "__strncat_chk",
};
#define NAME_COUNT ARRAY_LENGTH(names)

/* What stands behind a name. */
struct function {
    uintptr_t ours;                      /* 0: not wanted, or not there */
    uintptr_t module_start, module_end;  /* where the program's own is */
    uintptr_t theirs;
};
static struct function functions[NAME_COUNT];
static int with_copies;

static const struct link_map *own_map(void)
{
    struct dl_find_object found;
    return _dl_find_object((void *)(uintptr_t)&late_redirect_start, &found) == 0 ? found.dlfo_link_map : NULL;
}

/* Outside dl_iterate_phdr: dlsym takes another lock of the loader's. Again for what wasn't there the last time (libstdc++ may come late). */
static void find_functions(void)
{
    const struct link_map *own = own_map();
    int wanted = 1;
    for (size_t i = 0; own && i < NAME_COUNT; i++) {
        struct function *function = &functions[i];
        wanted &= strcmp(names[i], FIRST_COPY) != 0 || with_copies;
        if (!wanted) {
            function->ours = 0;
            continue;
        }
        if (!function->theirs)
            function->theirs = (uintptr_t)real_next(names[i]);
        if (function->theirs && !function->module_end)
            real_module_of((const void *)function->theirs, &function->module_start, &function->module_end);
        function->ours = function->module_end ? (uintptr_t)elf_symbols_find(own, names[i]) : 0;
    }
}

static const struct function *find_function(const char *name)
{
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (names[i][0] == name[0] && !strcmp(names[i], name))
            return functions[i].theirs ? &functions[i] : NULL;
    return NULL;
}

/* ---- what slots held ---- */

struct held {
    uintptr_t slot, value;
};
static struct held *held;          /* open addressing */
static uint32_t held_count, held_capacity;

static struct held *held_place(struct held *table, uint32_t capacity, uintptr_t slot)
{
    uint32_t at = (uint32_t)((slot >> 3) * 0x9e3779b97f4a7c15ull >> 32) & (capacity - 1);
    while (table[at].slot && table[at].slot != slot)
        at = (at + 1) & (capacity - 1);
    return &table[at];
}

static int held_grow(void)
{
    uint32_t capacity = held_capacity ? held_capacity * 2 : 4096;
    struct held *grown = pages_map(capacity * sizeof *grown);
    if (!grown)
        return 0;
    for (uint32_t i = 0; i < held_capacity; i++)
        if (held[i].slot)
            *held_place(grown, capacity, held[i].slot) = held[i];
    if (held)
        pages_unmap(held, held_capacity * sizeof *held);
    held = grown;
    held_capacity = capacity;
    return 1;
}

/* Returns 0: no memory. */
static int hold(uintptr_t slot, uintptr_t value)
{
    if (held_count * 2 >= held_capacity && !held_grow())
        return 0;
    struct held *place = held_place(held, held_capacity, slot);
    held_count += !place->slot;
    *place = (struct held){slot, value};
    return 1;
}

/* ---- one module ---- */

struct module_tables {
    const ElfW(Sym) *symbols;
    const char *strings;
    const ElfW(Rela) *relocations[2];
    size_t counts[2];
    uintptr_t bias, start, end;              /* of what is mapped */
    uintptr_t sealed_start, sealed_end;      /* pages that the loader has made read-only after it had filled them in */
};

static const void *run_time_pointer(uintptr_t bias, ElfW(Addr) pointer)
{
    return (const void *)(pointer < bias ? pointer + bias : pointer);
}

static void read_dynamic(struct module_tables *module, const ElfW(Dyn) *entry)
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
        default: break;
        }
    }
}

static int read_module(const struct dl_phdr_info *info, struct module_tables *module)
{
    const ElfW(Dyn) *dynamic = NULL;
    *module = (struct module_tables){.bias = info->dlpi_addr, .start = UINTPTR_MAX};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr, end = start + segment->p_memsz;
        if (segment->p_type == PT_LOAD) {
            module->start = start < module->start ? start : module->start;
            module->end = end > module->end ? end : module->end;
        } else if (segment->p_type == PT_DYNAMIC) {
            dynamic = (const ElfW(Dyn) *)start;
        } else if (segment->p_type == PT_GNU_RELRO) {
            module->sealed_start = start & ~(PAGE_BYTES - 1);
            module->sealed_end = end & ~(PAGE_BYTES - 1);
        }
    }
    if (!dynamic)
        return 0;
    read_dynamic(module, dynamic);
    return module->symbols && module->strings;
}

static uint32_t changed_count;

static int write_slot(const struct module_tables *module, uintptr_t slot, uintptr_t value)
{
    uintptr_t page = slot & ~(PAGE_BYTES - 1);
    int sealed = slot >= module->sealed_start && slot < module->sealed_end;
    if (sealed && mprotect((void *)page, PAGE_BYTES, PROT_READ | PROT_WRITE) != 0)
        return 0;
    __atomic_store_n((uintptr_t *)slot, value, __ATOMIC_RELEASE);
    if (sealed)
        mprotect((void *)page, PAGE_BYTES, PROT_READ);
    changed_count++;
    return 1;
}

/* Does the slot hold what the program calls by the name, or, still, the way to the loader, who would look it up at the first call? */
static int holds_theirs(const struct module_tables *module, const struct function *function, unsigned type, const ElfW(Sym) *symbol,
                        uintptr_t value)
{
    if (type == SLOT_DATA) /* the program's own variable: it may hold something else by now */
        return value == function->theirs;
    if (value >= function->module_start && value < function->module_end)
        return 1;
    return type == SLOT_CALL && symbol->st_shndx == SHN_UNDEF && value >= module->start && value < module->end;
}

static void serve_slot(const struct module_tables *module, const ElfW(Rela) *relocation, int restore)
{
    unsigned type = ELF64_R_TYPE(relocation->r_info);
    const ElfW(Sym) *symbol = &module->symbols[ELF64_R_SYM(relocation->r_info)];
    if ((type != SLOT_CALL && type != SLOT_TABLE && type != SLOT_DATA) || !ELF64_R_SYM(relocation->r_info) ||
        (type == SLOT_DATA && relocation->r_addend))
        return;
    const struct function *function = find_function(module->strings + symbol->st_name);
    uintptr_t slot = module->bias + relocation->r_offset;
    if (!function || slot < module->start || slot + sizeof slot > module->end || slot % sizeof slot)
        return;
    uintptr_t value = __atomic_load_n((uintptr_t *)slot, __ATOMIC_RELAXED);
    if (restore && value == function->ours && function->ours) {
        struct held *before = held ? held_place(held, held_capacity, slot) : NULL;
        write_slot(module, slot, before && before->slot ? before->value : function->theirs);
    } else if (!restore && function->ours && value != function->ours && holds_theirs(module, function, type, symbol, value) &&
               hold(slot, value)) {
        write_slot(module, slot, function->ours);
    }
}

static int is_ours_or_loader(const struct module_tables *module)
{
    uintptr_t own = (uintptr_t)&late_redirect_start;
    return (own >= module->start && own < module->end) || module->bias == _r_debug.r_ldbase;
}

static int serve_module(struct dl_phdr_info *info, size_t info_bytes, void *restore)
{
    struct module_tables module;
    if (!read_module(info, &module) || is_ours_or_loader(&module))
        return 0;
    for (int table = 0; table < 2; table++)
        for (size_t i = 0; module.relocations[table] && i < module.counts[table]; i++)
            serve_slot(&module, &module.relocations[table][i], restore != NULL);
    return 0;
}

/* ---- all of them ---- */

static struct lock redirect_lock;
static _Atomic int is_active;
static unsigned long long loads_seen;

static int read_loads(struct dl_phdr_info *info, size_t info_bytes, void *ret_loads)
{
    *(unsigned long long *)ret_loads = info->dlpi_adds;
    return 1;
}

static unsigned long long count_loads(void)
{
    unsigned long long loads = 0;
    dl_iterate_phdr(read_loads, &loads);
    return loads;
}

static void serve_all(int restore)
{
    static char yes;
    changed_count = 0;
    if (!restore) {
        loads_seen = count_loads();
        find_functions();
    }
    dl_iterate_phdr(serve_module, restore ? &yes : NULL);
}

uint32_t late_redirect_start(int copies)
{
    int saved_errno = errno;
    lock_take(&redirect_lock);
    with_copies = copies;
    serve_all(0);
    uint32_t count = changed_count;
    /* A slot may have been in the loader's hands for the first time, who has then written what it found over ours. */
    serve_all(0);
    atomic_store(&is_active, 1);
    lock_release(&redirect_lock);
    errno = saved_errno;
    return count;
}

void late_redirect_stop(void)
{
    int saved_errno = errno;
    lock_take(&redirect_lock);
    atomic_store(&is_active, 0);
    serve_all(1);
    lock_release(&redirect_lock);
    errno = saved_errno;
}

void late_redirect_news(void)
{
    int saved_errno = errno;
    if (!late_redirect_is_active() || count_loads() == loads_seen)
        return;
    lock_take(&redirect_lock);
    if (late_redirect_is_active())
        serve_all(0);
    lock_release(&redirect_lock);
    errno = saved_errno;
}

void late_redirect_after_fork(void)
{
    lock_reset(&redirect_lock);
}

int late_redirect_is_active(void)
{
    return atomic_load_explicit(&is_active, memory_order_relaxed);
}
