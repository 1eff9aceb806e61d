/* See late_redirect.h. */
#include "late_redirect.h"

#include <errno.h>
#include <link.h>

#include "elf_symbols.h"
#include "lock.h"
#include "pages.h"
#include "real.h"
#include "slots.h"

#define MAX_NAMES 128

/* ---- the functions ---- */

/* What stands behind a name of slots_names. */
struct function {
    uintptr_t ours;                      /* 0: not wanted, or not there */
    uintptr_t module_start, module_end;  /* where the program's own is */
    uintptr_t theirs;
};
static struct function functions[MAX_NAMES];
static int with_copies;

/* Outside dl_iterate_phdr: dlsym takes another lock of the loader's. Again for what wasn't there the last time (libstdc++ may come late). */
static void find_functions(void)
{
    const struct link_map *own = slots_own_map();
    for (unsigned i = 0; own && i < slots_name_count; i++) {
        struct function *function = &functions[i];
        const char *name = slots_names[i].name;
        if (slots_names[i].group == SLOTS_COPY && !with_copies) {
            function->ours = 0;
            continue;
        }
        if (!function->theirs)
            function->theirs = (uintptr_t)real_next(name);
        if (function->theirs && !function->module_end)
            real_module_of((const void *)function->theirs, &function->module_start, &function->module_end);
        function->ours = function->module_end ? (uintptr_t)elf_symbols_find(own, name) : 0;
    }
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

static uint32_t changed_count;
static struct slots_page page;

/* Does the slot hold what the program calls by the name, or, still, the way to the loader, who would look it up at the first call? */
static int holds_theirs(const struct slots_module *module, const struct function *function, const struct slots_slot *slot)
{
    if (slot->type == SLOT_DATA) /* the program's own variable: it may hold something else by now */
        return slot->value == function->theirs;
    if (slot->value >= function->module_start && slot->value < function->module_end)
        return 1;
    return slot->type == SLOT_CALL && !slot->is_defined && slot->value >= module->start && slot->value < module->end;
}

static void change(const struct slots_module *module, const struct slots_slot *slot, uintptr_t value)
{
    changed_count += (uint32_t)slots_write(&page, slot->address, value, slots_is_sealed(module, slot->address));
}

static void serve_slot(const struct slots_module *module, const struct slots_slot *slot, int restore)
{
    const struct function *function = &functions[slot->name];
    if (!function->theirs)
        return;
    if (restore && slot->value == function->ours && function->ours) {
        struct held *before = held ? held_place(held, held_capacity, slot->address) : NULL;
        change(module, slot, before && before->slot ? before->value : function->theirs);
    } else if (!restore && function->ours && slot->value != function->ours && holds_theirs(module, function, slot) &&
               hold(slot->address, slot->value)) {
        change(module, slot, function->ours);
    }
}

static int serve_module(struct dl_phdr_info *info, size_t info_bytes, void *restore)
{
    struct slots_module module;
    struct slots_slot slot;
    if (!slots_read_module(info, &module))
        return 0;
    for (int table = 0; table < 2; table++)
        for (size_t i = 0; i < module.counts[table]; i++)
            if (slots_read_slot(&module, &module.relocations[table][i], &slot))
                serve_slot(&module, &slot, restore != NULL);
    slots_close(&page);
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
