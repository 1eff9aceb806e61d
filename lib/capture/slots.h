/* The slots of loaded modules that stand for functions of ours: which names, where a module keeps them, how one is changed.
 *
 * Every loaded module calls other modules' functions through slots (its global offset table, and pointers in its data) that the loader has
 * filled in; relocations tell where they are and which name they stand for. Two make use of it: late_redirect.h leads the calls of a running
 * program to us, dormant.h those of a paused one past us.
 * Nothing is allocated. Modules are read under the loader's lock, as dl_iterate_phdr's callbacks are called. */
#ifndef HEAPLINE_CAPTURE_SLOTS_H
#define HEAPLINE_CAPTURE_SLOTS_H

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#if defined(__x86_64__)
#define SLOT_CALL R_X86_64_JUMP_SLOT
#define SLOT_GLOBAL R_X86_64_GLOB_DAT
#define SLOT_DATA R_X86_64_64
#elif defined(__aarch64__)
#define SLOT_CALL R_AARCH64_JUMP_SLOT
#define SLOT_GLOBAL R_AARCH64_GLOB_DAT
#define SLOT_DATA R_AARCH64_ABS64
#endif

/* What a function does to a program's blocks. */
enum slots_group {
    SLOTS_ALLOCATION, /* gives one out */
    SLOTS_RELEASE,    /* takes one */
    SLOTS_MAPPING,
    SLOTS_PROCESS,    /* nothing: the process, its modules, its threads */
    SLOTS_COPY,
};

struct slots_name {
    const char *name;
    enum slots_group group;
};

/* All that the library exports for programs to call. */
INTERNAL const struct slots_name slots_names[];
INTERNAL const unsigned slots_name_count;
/* Index in slots_names; -1: not one of ours. */
int slots_find_name(const char *name);

struct slots_module {
    const ElfW(Sym) *symbols;
    const char *strings;
    const ElfW(Rela) *relocations[2]; /* of data; of calls */
    size_t counts[2];
    uintptr_t bias, start, end;              /* of what is mapped */
    uintptr_t sealed_start, sealed_end;      /* pages that the loader has made read-only after it had filled them in */
    int is_symbolic;                         /* its own definitions come first for it */
};

struct slots_slot {
    uintptr_t address, value;
    unsigned type;     /* SLOT_CALL, SLOT_GLOBAL, SLOT_DATA */
    int name;          /* index in slots_names */
    int is_defined;    /* the module itself has such a function … */
    int is_bound;      /* … and calls that one, whoever else has one */
};

const struct link_map *slots_own_map(void);
/* 0: it has no slots, or it is this library or the loader. */
int slots_read_module(const struct dl_phdr_info *info, struct slots_module *ret_module);
/* 0: the relocation is of no slot of ours. */
int slots_read_slot(const struct slots_module *module, const ElfW(Rela) *relocation, struct slots_slot *ret_slot);

int slots_is_sealed(const struct slots_module *module, uintptr_t slot);
/* The sealed page that slots are being written in; 0: none. */
struct slots_page {
    uintptr_t open;
};
/* As a whole: other threads call through it meanwhile. 0: its page can't be written to. The last page stays open until slots_close. */
int slots_write(struct slots_page *page, uintptr_t slot, uintptr_t value, int is_sealed);
void slots_close(struct slots_page *page);

#endif
