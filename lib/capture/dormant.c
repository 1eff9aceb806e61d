/* See dormant.h. */
#include "dormant.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "elf_symbols.h"
#include "own_code.h"
#include "pages.h"
#include "real.h"
#include "slot_table.h"
#include "slots.h"

#define PAGE_BYTES 4096ul
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000 /* Linux 4.17; older ones take the address for a wish */
#endif

/* Function i is slots_names[i]. */
static struct slot_table table;
_Static_assert(SLOT_TABLE_MAX_FUNCTIONS >= 100, "there are about 80 names");

/* ---- the memory file ---- */

static int open_memory(void)
{
    return (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR | O_CLOEXEC);
}

/* Most slots lie in pages that are read-only by now. Writing to such pages can be switched off (proc_mem.force_override), and an emulator's
 * file may show another memory. */
static int reaches_sealed_pages(int memory)
{
    static const char written = 42;
    volatile char *page = pages_map(PAGE_BYTES);
    int reaches = page && mprotect((void *)page, PAGE_BYTES, PROT_READ) == 0 &&
                  syscall(SYS_pwrite64, memory, &written, 1, (off_t)(uintptr_t)page) == 1 && *page == written;
    if (page)
        pages_unmap((void *)page, PAGE_BYTES);
    return reaches;
}

int dormant_open_memory(struct session_header *session)
{
    int memory = session->flags & SESSION_PAUSED ? open_memory() : -1;
    if (memory >= 0 && reaches_sealed_pages(memory)) {
        session->slots_address = (uintptr_t)&table;
        return memory;
    }
    if (memory >= 0)
        syscall(SYS_close, memory);
    return -1;
}

/* ---- jumps to the hooks ---- */

#define JUMP_BYTES (sizeof jump_code + sizeof(uintptr_t))
#if defined(__x86_64__)
static const uint8_t jump_code[] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp *0(%rip); the address follows */
#elif defined(__aarch64__)
static const uint8_t jump_code[] = {0x51, 0, 0, 0x58, 0x20, 0x02, 0x1f, 0xd6}; /* ldr x17, .+8; br x17; the address follows */
#endif

/* Pages with jumps, each at the address of a page of the program's functions, but for one byte. */
#define MAX_JUMP_PAGES 64
static struct jump_page {
    uintptr_t functions, jumps;
} jump_pages[MAX_JUMP_PAGES];
static unsigned jump_page_count;

static uintptr_t map_at(uintptr_t wanted)
{
    void *page = (void *)syscall(SYS_mmap, wanted, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page != MAP_FAILED && (uintptr_t)page != wanted)
        syscall(SYS_munmap, page, PAGE_BYTES);
    return (uintptr_t)page == wanted ? wanted : 0;
}

/* Far from where systems put anything; with small address spaces the higher byte is out of reach. */
static uintptr_t map_jump_page(uintptr_t functions)
{
    for (int byte = 5; byte >= 4; byte--)
        for (uintptr_t value = 0x20; value < 0x30; value++) {
            uintptr_t wanted = (functions & ~(0xffull << 8 * byte)) | value << 8 * byte;
            if (wanted != functions && map_at(wanted))
                return wanted;
        }
    return 0;
}

static uintptr_t jump_page_for(uintptr_t functions)
{
    for (unsigned i = 0; i < jump_page_count; i++)
        if (jump_pages[i].functions == functions)
            return jump_pages[i].jumps;
    uintptr_t jumps = jump_page_count < MAX_JUMP_PAGES ? map_jump_page(functions) : 0;
    if (jumps)
        jump_pages[jump_page_count++] = (struct jump_page){functions, jumps};
    return jumps;
}

/* Functions that are shorter than a jump are rare, but there may be some. */
static int has_room(uintptr_t jump)
{
    for (unsigned i = 0; i < slots_name_count; i++)
        if (table.functions[i].hook - jump + JUMP_BYTES - 1 < 2 * JUMP_BYTES - 1)
            return 0;
    return jump % PAGE_BYTES + JUMP_BYTES <= PAGE_BYTES;
}

/* Where the jump for the program's function is that leads to `ours`; 0: there can't be one. Functions that share an address in the C library
 * (memcpy and memmove) do the same, and so do our hooks: the first one's serves. */
static uintptr_t make_jump(uintptr_t past, uintptr_t ours)
{
    uintptr_t page = past & ~(PAGE_BYTES - 1);
    uint8_t *jump = (uint8_t *)jump_page_for(page);
    if (!jump)
        return 0;
    jump += past - page;
    for (unsigned i = 0; i < slots_name_count; i++)
        if (table.functions[i].hook == (uintptr_t)jump)
            return (uintptr_t)jump;
    if (!has_room((uintptr_t)jump))
        return 0;
    memcpy(jump, jump_code, sizeof jump_code);
    memcpy(jump + sizeof jump_code, &ours, sizeof ours);
    return (uintptr_t)jump;
}

/* 0: pages must not become code here. */
static int seal_jumps(void)
{
    for (unsigned i = 0; i < jump_page_count; i++) {
        __builtin___clear_cache((char *)jump_pages[i].jumps, (char *)jump_pages[i].jumps + PAGE_BYTES);
        if (mprotect((void *)jump_pages[i].jumps, PAGE_BYTES, PROT_READ | PROT_EXEC) != 0)
            return 0;
    }
    return 1;
}

/* ---- the modules that the program began with ---- */

/* They stay for the process's life. What has been loaded on request may go, and its slots be something else's then: that keeps to the hooks.
 * The loader's list begins with the executable and what was preloaded; then come those that they need, then those that these need. */
#define MAX_NEEDED 4096
struct module_search {
    const struct link_map *own;
    uint64_t *needed; /* hashes of names */
    unsigned needed_count, module_count;
    enum { NOT_ASKED, COMES_TO_US, COMES_TO_OTHERS } first[SLOT_TABLE_MAX_FUNCTIONS]; /* what the loader finds when it looks for the name */
};

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037ull; /* FNV-1a: Fowler, Noll, Vo */
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 1099511628211ull;
    return hash;
}

static int is_needed(const struct module_search *search, const char *name)
{
    const char *slash = strrchr(name, '/');
    uint64_t hash = hash_of(slash ? slash + 1 : name);
    for (unsigned i = 0; i < search->needed_count; i++)
        if (search->needed[i] == hash)
            return 1;
    return 0;
}

static void note_needed(struct module_search *search, const struct dl_phdr_info *info, const char *strings)
{
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        for (const ElfW(Dyn) *entry = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr); entry->d_tag != DT_NULL; entry++) {
            const char *name = strings + entry->d_un.d_val, *slash;
            if (entry->d_tag == DT_NEEDED && search->needed_count < MAX_NEEDED)
                search->needed[search->needed_count++] = hash_of((slash = strrchr(name, '/')) ? slash + 1 : name);
        }
    }
}

/* Calls of functions that a program takes the address of may go through the slot that holds that address; what it does with an address it may
 * do at any time, so it is ours all the time. Only where a module makes all its calls that way (-fno-plt) they are led past us, too. What every
 * program has of its own (start and end, unwinding) may be called in the usual way there. */
#define FEW_CALLS 16
static int calls_by_address(const struct slots_module *module)
{
    struct slots_slot slot;
    size_t addresses = 0;
    if (module->counts[1] > FEW_CALLS)
        return 0;
    for (size_t i = 0; i < module->counts[1]; i++)
        if (slots_read_slot(module, &module->relocations[1][i], &slot))
            return 0;
    for (size_t i = 0; i < module->counts[0]; i++) {
        const ElfW(Sym) *symbol = &module->symbols[ELF64_R_SYM(module->relocations[0][i].r_info)];
        addresses += ELF64_R_TYPE(module->relocations[0][i].r_info) == SLOT_GLOBAL && symbol->st_shndx == SHN_UNDEF &&
                     ELF64_ST_TYPE(symbol->st_info) == STT_FUNC;
    }
    return addresses > 4 + 4 * module->counts[1];
}

/* Has nobody one whom the loader asks before us? */
static int comes_to_us(struct module_search *search, int name)
{
    if (search->first[name] == NOT_ASKED) {
        const struct link_map *module = _r_debug.r_map;
        while (module && module != search->own && !elf_symbols_find(module, slots_names[name].name))
            module = module->l_next;
        search->first[name] = module == search->own ? COMES_TO_US : COMES_TO_OTHERS;
    }
    return search->first[name] == COMES_TO_US;
}

/* Does the slot lead to us, or, still, to the loader, who would find us at the first call? */
static int leads_to_us(struct module_search *search, const struct slots_module *module, const struct slots_slot *slot)
{
    if (own_code_holds((const void *)slot->value))
        return 1;
    return slot->type == SLOT_CALL && !slot->is_bound && comes_to_us(search, slot->name) && slot->value >= module->start &&
           slot->value < module->end;
}

/* Blocks that came from the bootstrap buffer must come back to us. */
static int is_led(const struct slots_name *name)
{
    return name->group != SLOTS_PROCESS && (name->group != SLOTS_RELEASE || bootstrap_is_unused());
}

static void collect_slot(struct module_search *search, const struct slots_module *module, const struct slots_slot *slot)
{
    if (is_led(&slots_names[slot->name]) && leads_to_us(search, module, slot) && table.slot_count < SLOT_TABLE_MAX_SLOTS)
        table.slots[table.slot_count++] =
            (struct slot_entry){slot->address, (uint32_t)slot->name, (uint32_t)slots_is_sealed(module, slot->address)};
}

static int collect_module(struct dl_phdr_info *info, size_t info_bytes, void *context)
{
    struct module_search *search = context;
    struct slots_module module;
    struct slots_slot slot;
    int is_first = search->module_count++ == 0;
    if (!slots_read_module(info, &module) || (!is_first && !is_needed(search, info->dlpi_name)))
        return 0;
    note_needed(search, info, module.strings);
    int by_address = calls_by_address(&module), of_calls = !by_address;
    for (size_t i = 0; i < module.counts[of_calls]; i++)
        if (slots_read_slot(&module, &module.relocations[of_calls][i], &slot) && slot.type == (by_address ? SLOT_GLOBAL : SLOT_CALL))
            collect_slot(search, &module, &slot);
    return 0;
}

static void collect(void)
{
    struct module_search search = {.own = slots_own_map(), .needed = pages_map(MAX_NEEDED * sizeof *search.needed)};
    if (search.own && search.needed)
        dl_iterate_phdr(collect_module, &search);
    if (search.needed)
        pages_unmap(search.needed, MAX_NEEDED * sizeof *search.needed);
}

/* ---- leading ---- */

/* As our hooks do it: one routine serves both, also programs that were linked against the memcpy which allowed overlaps. */
static uintptr_t find_past(const char *name)
{
    uintptr_t past = (uintptr_t)real_next(strcmp(name, "memcpy") == 0 ? "memmove" : name);
    return own_code_holds((const void *)past) ? 0 : past;
}

/* Outside dl_iterate_phdr: dlsym takes another lock of the loader's. Only what somebody calls: a failed search would leave its message. */
static void find_functions(void)
{
    const struct link_map *own = slots_own_map();
    for (uint32_t i = 0; i < table.slot_count; i++) {
        struct slot_function *function = &table.functions[table.slots[i].function];
        const char *name = slots_names[table.slots[i].function].name;
        uintptr_t ours = function->past ? 0 : (uintptr_t)elf_symbols_find(own, name);
        if (ours && (function->past = find_past(name)))
            function->hook = make_jump(function->past, ours);
    }
}

/* What can't be led either way is none of ours. */
static void drop_useless_slots(void)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < table.slot_count; i++)
        if (table.functions[table.slots[i].function].hook)
            table.slots[kept++] = table.slots[i];
    table.slot_count = kept;
}

static void lead_all(int to_hooks)
{
    struct slots_page page = {0};
    for (uint32_t i = 0; i < table.slot_count; i++) {
        const struct slot_entry *slot = &table.slots[i];
        const struct slot_function *function = &table.functions[slot->function];
        slots_write(&page, slot->address, to_hooks ? function->hook : function->past, (int)slot->is_sealed);
    }
    slots_close(&page);
}

static int is_to_lead_to_hooks(struct session_header *session)
{
    return atomic_load(&session->slots_lead) == SLOTS_LEAD_TO_HOOKS;
}

void dormant_begin(struct session_header *session)
{
    if (!session->slots_address)
        return;
    table.function_count = slots_name_count;
    collect();
    find_functions();
    drop_useless_slots();
    if (!seal_jumps())
        return;
    lead_all(0);
    /* Either the collector, asked to start, finds the table, or we find that it was asked. */
    __atomic_store_n(&table.magic, SLOT_TABLE_MAGIC, __ATOMIC_SEQ_CST);
    if (is_to_lead_to_hooks(session))
        lead_all(1);
}

int dormant_after_fork(struct session_header *child)
{
    int memory = child->slots_address && table.magic ? open_memory() : -1;
    if (memory < 0 && child->slots_address) {
        if (table.magic)
            lead_all(1);
        child->slots_address = 0;
    }
    return memory;
}
