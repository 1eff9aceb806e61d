/* See native_fallback.h. libunwind's interface for other processes' stacks serves for our own: it reads nothing by itself. */
#include "native_fallback.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "lock.h"
#include "module_table.h"
#include "native_machine.h"
#include "own_code.h"
#include "signals.h"
#include "thread_state.h"

int native_fallback_is_there;

static struct lock fallback_lock;

#if defined(HAVE_LIBUNWIND) && defined(DLFO_STRUCT_HAS_EH_DBASE)
#include <libunwind.h>

#define TEXT_OF(name) #name
#define SYMBOL(name) TEXT_OF(name)
#define MAX_STEPS (1 << 17)
#define KNOWN_PAGES 256
#define PAGE_BYTES 4096ull

typedef int search_function(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *, int, void *);

static struct {
    __typeof__(&unw_create_addr_space) create_space;
    __typeof__(&unw_set_caching_policy) set_caching;
    __typeof__(&unw_flush_cache) flush_cache;
    __typeof__(&unw_init_remote) init;
    __typeof__(&unw_step) step;
    __typeof__(&unw_get_reg) get_register;
    __typeof__(&unw_is_signal_frame) is_signal_frame;
    search_function *search; /* dwarf_search_unwind_table */
} unwind;

/* The walk that is under way; guarded by the lock. */
static struct {
    unw_addr_space_t space;
    unw_cursor_t cursor;
    const uint64_t *registers;
    struct native_memory memory;
    uint64_t signals;
    uintptr_t busy;
    int saved_errno;
    int has_failed;                   /* libunwind would guess now */
    uint32_t epoch;                   /* what is known of modules is of this one */
    uint64_t module_start, module_end; /* the last one that was looked at */
    uint64_t known_pages[KNOWN_PAGES]; /* of modules: readable as long as they stay; lowest bit set */
} walk;

/* ---- what libunwind asks for ---- */

static int module_holds(uint64_t address)
{
    struct dl_find_object object;
    if (address - walk.module_start < walk.module_end - walk.module_start)
        return 1;
    if (_dl_find_object((void *)(uintptr_t)address, &object) != 0)
        return 0;
    walk.module_start = (uintptr_t)object.dlfo_map_start;
    walk.module_end = (uintptr_t)object.dlfo_map_end;
    return 1;
}

static int page_is_known(uint64_t address)
{
    uint64_t page = address & -PAGE_BYTES, *known = &walk.known_pages[page / PAGE_BYTES % KNOWN_PAGES];
    if (*known == (page | 1))
        return 1;
    if (!module_holds(address) || !native_page_is_readable(page))
        return 0;
    *known = page | 1;
    return 1;
}

/* Instructions aren't aligned as data is. */
static int is_readable(uint64_t address)
{
    uint64_t last = address + sizeof(uint64_t) - 1;
    if (address - walk.memory.low < walk.memory.high - walk.memory.low && last < walk.memory.high)
        return 1;
    if (page_is_known(address) && page_is_known(last))
        return 1;
    return native_page_is_readable(address & -PAGE_BYTES) && native_page_is_readable(last & -PAGE_BYTES);
}

static int access_memory(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int is_write, void *argument)
{
    if (is_write || !is_readable(address)) {
        walk.has_failed = 1;
        return -UNW_EINVAL;
    }
    memcpy(value, (const void *)(uintptr_t)address, sizeof *value);
    return 0;
}

static int access_register(unw_addr_space_t space, unw_regnum_t number, unw_word_t *value, int is_write, void *argument)
{
    if (is_write || (unsigned)number >= NATIVE_REGISTER_COUNT || !(NATIVE_REGISTERS_KEPT >> number & 1))
        return -UNW_EBADREG;
    *value = walk.registers[number];
    return 0;
}

static int access_float_register(unw_addr_space_t space, unw_regnum_t number, unw_fpreg_t *value, int is_write, void *argument)
{
    return -UNW_EBADREG;
}

static int find_information(unw_addr_space_t space, unw_word_t address, unw_proc_info_t *info, int needs_it, void *argument)
{
    struct dl_find_object object;
    int status = -UNW_ENOINFO;
    if (_dl_find_object((void *)(uintptr_t)address, &object) == 0 && object.dlfo_eh_frame) {
        /* Version 1; pointer to .eh_frame and count in four bytes each; then the table, relative to the header (cfi.c reads the same). */
        const uint8_t *header = object.dlfo_eh_frame;
        uint32_t count;
        memcpy(&count, header + 8, sizeof count);
        unw_dyn_info_t table = {.start_ip = (uintptr_t)object.dlfo_map_start, .end_ip = (uintptr_t)object.dlfo_map_end,
                                .format = UNW_INFO_FORMAT_REMOTE_TABLE};
        table.u.rti = (unw_dyn_remote_table_info_t){.segbase = (uintptr_t)header, .table_len = count, .table_data = (uintptr_t)header + 12};
        if (header[0] == 1 && (header[1] & 0x0f) == 0x0b && header[2] == 0x03 && header[3] == 0x3b)
            status = unwind.search(space, address, &table, info, needs_it, argument);
    }
    walk.has_failed |= status < 0;
    return status;
}

static void put_information(unw_addr_space_t space, unw_proc_info_t *info, void *argument)
{
}

static int no_list(unw_addr_space_t space, unw_word_t *list, void *argument)
{
    return -UNW_ENOINFO;
}

static int no_resume(unw_addr_space_t space, unw_cursor_t *cursor, void *argument)
{
    return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t space, unw_word_t address, char *name, size_t bytes, unw_word_t *offset, void *argument)
{
    return -UNW_ENOINFO;
}

/* ---- steps ---- */

static uint64_t register_of(int number)
{
    unw_word_t value = 0;
    return unwind.get_register(&walk.cursor, number, &value) == 0 ? value : 0;
}

static struct native_place here(void)
{
    return (struct native_place){register_of(UNW_REG_SP), register_of(UNW_REG_IP), register_of(NATIVE_REGISTER_FRAME)};
}

/* By what the tables say; where they say nothing libunwind has guesses of its own. */
static enum native_step step(void)
{
    if (walk.has_failed)
        return NATIVE_STEP_FAILED;
    int result = unwind.step(&walk.cursor);
    if (result < 0 || walk.has_failed) {
        walk.has_failed = 1;
        return NATIVE_STEP_FAILED;
    }
    if (result)
        return NATIVE_STEP_TAKEN;
    /* On x86-64 rows say where a stack ends; here it may be a frame pointer that nobody knows. */
    return NATIVE_MACHINE_HAS_ROWS ? NATIVE_STEP_FAILED : NATIVE_STEP_OUTERMOST;
}

/* Goes to the frame at this place, which rows have found. */
static int reach(const struct native_place *place)
{
    for (int steps = 0; steps < MAX_STEPS; steps++) {
        uint64_t address = register_of(UNW_REG_IP);
        /* An interrupted instruction is made to look like a return address. */
        if (register_of(UNW_REG_SP) == place->stack && (address == place->address || address + 1 == place->address))
            return 1;
        if (step() != NATIVE_STEP_TAKEN)
            return 0;
    }
    return 0;
}

enum native_step native_fallback_step(struct native_place *place)
{
    if (!reach(place))
        return NATIVE_STEP_FAILED;
    int is_signal = NATIVE_MACHINE_SIGNAL_FRAME_IS_TRAMPOLINE && unwind.is_signal_frame(&walk.cursor) > 0;
    enum native_step result = step();
    if (result != NATIVE_STEP_TAKEN)
        return result;
    if (!NATIVE_MACHINE_SIGNAL_FRAME_IS_TRAMPOLINE)
        is_signal = unwind.is_signal_frame(&walk.cursor) > 0;
    struct native_place caller = here();
    if (!is_signal && caller.stack <= place->stack)
        return NATIVE_STEP_FAILED;
    caller.address += is_signal && caller.address;
    *place = caller;
    return caller.address ? NATIVE_STEP_TAKEN : NATIVE_STEP_OUTERMOST;
}

int native_fallback_first(struct native_place *ret_place)
{
    struct native_place place = here();
    while (own_code_holds((const void *)(uintptr_t)place.address)) {
        if (step() != NATIVE_STEP_TAKEN)
            return 0;
        place = here();
    }
    *ret_place = place;
    return 1;
}

/* ---- walks ---- */

void native_fallback_open(const uint64_t *registers, uint64_t stack_end)
{
    int saved_errno = errno;
    uint64_t signals = signals_block(), stack = registers[NATIVE_REGISTER_STACK];
    lock_take(&fallback_lock);
    walk.signals = signals;
    walk.busy = current_thread->busy;
    current_thread->busy = THREAD_INTERNAL; /* what libunwind copies is not the program's */
    walk.saved_errno = saved_errno;
    walk.registers = registers;
    walk.has_failed = 0;
    walk.memory = (struct native_memory){.low = stack_end ? stack : 0, .high = stack_end};
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    if (walk.epoch != epoch) {
        walk.epoch = epoch;
        walk.module_start = walk.module_end = 0;
        memset(walk.known_pages, 0, sizeof walk.known_pages);
        unwind.flush_cache(walk.space, 0, 0);
    }
    walk.has_failed = unwind.init(&walk.cursor, walk.space, NULL) != 0;
}

void native_fallback_close(void)
{
    uint64_t signals = walk.signals;
    int saved_errno = walk.saved_errno;
    current_thread->busy = walk.busy;
    lock_release(&fallback_lock);
    signals_restore(signals);
    errno = saved_errno;
}

/* ---- start ---- */

static int find_functions(void *library, void *(*symbol)(void *, const char *))
{
    unwind.create_space = (__typeof__(unwind.create_space))symbol(library, SYMBOL(UNW_OBJ(create_addr_space)));
    unwind.set_caching = (__typeof__(unwind.set_caching))symbol(library, SYMBOL(UNW_OBJ(set_caching_policy)));
    unwind.flush_cache = (__typeof__(unwind.flush_cache))symbol(library, SYMBOL(UNW_ARCH_OBJ(flush_cache)));
    unwind.init = (__typeof__(unwind.init))symbol(library, SYMBOL(UNW_OBJ(init_remote)));
    unwind.step = (__typeof__(unwind.step))symbol(library, SYMBOL(UNW_OBJ(step)));
    unwind.get_register = (__typeof__(unwind.get_register))symbol(library, SYMBOL(UNW_OBJ(get_reg)));
    unwind.is_signal_frame = (__typeof__(unwind.is_signal_frame))symbol(library, SYMBOL(UNW_OBJ(is_signal_frame)));
    unwind.search = (search_function *)symbol(library, SYMBOL(UNW_OBJ(dwarf_search_unwind_table)));
    return unwind.create_space && unwind.set_caching && unwind.flush_cache && unwind.init && unwind.step && unwind.get_register &&
           unwind.is_signal_frame && unwind.search;
}

/* libunwind opens a pipe to try addresses with, which nothing here needs: the program's descriptors must have the numbers they always had.
 * Two numbers that were free are closed again if they are that pipe. */
static void find_free_descriptors(int *ret_numbers)
{
    for (int i = 0; i < 2; i++)
        ret_numbers[i] = (int)syscall(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC);
    for (int i = 0; i < 2; i++)
        syscall(SYS_close, ret_numbers[i]);
}

static void close_pipe(const int *numbers)
{
    for (int i = 0; i < 2; i++) {
        struct stat status;
        if (numbers[i] >= 0 && fstat(numbers[i], &status) == 0 && S_ISFIFO(status.st_mode))
            syscall(SYS_close, numbers[i]);
    }
}

/* Its first walk, which makes its tables, now rather than in somebody's malloc. */
static void walk_once(void)
{
    uint64_t registers[NATIVE_REGISTER_COUNT];
    struct native_place place;
    native_machine_registers(registers);
    native_fallback_open(registers, 0);
    if (native_fallback_first(&place))
        while (native_fallback_step(&place) == NATIVE_STEP_TAKEN)
            ;
    native_fallback_close();
}

void native_fallback_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *))
{
    unw_accessors_t accessors = {find_information, put_information, no_list,  access_memory, access_register,
                                 access_float_register, no_resume, no_name};
    int descriptors[2];
    void *library = open(NATIVE_MACHINE_LIBUNWIND, RTLD_NOW | RTLD_LOCAL);
    if (!library || !find_functions(library, symbol))
        return;
    walk.space = unwind.create_space(&accessors, 0);
    if (!walk.space)
        return;
    find_free_descriptors(descriptors);
    unwind.set_caching(walk.space, UNW_CACHE_GLOBAL);
    walk_once();
    close_pipe(descriptors);
    native_fallback_is_there = 1;
}

#else

void native_fallback_start(void *(*open)(const char *, int), void *(*symbol)(void *, const char *))
{
}

void native_fallback_open(const uint64_t *registers, uint64_t stack_end)
{
}

void native_fallback_close(void)
{
}

int native_fallback_first(struct native_place *ret_place)
{
    return 0;
}

enum native_step native_fallback_step(struct native_place *place)
{
    return NATIVE_STEP_FAILED;
}

#endif

void native_fallback_lock(void)
{
    lock_take(&fallback_lock);
}

void native_fallback_unlock(void)
{
    lock_release(&fallback_lock);
}
