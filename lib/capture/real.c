/* See real.h. Runs before constructors, perhaps inside the loader: uses nothing of libc but dlsym. */
#include "real.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>

#include "elf_symbols.h"
#include "late_start.h"
#include "own_code.h"
#include "thread_state.h"

struct real_functions real;
_Atomic uint32_t real_ready;

static _Atomic(void *) resolver; /* the resolving thread, by the address of its TLS pointer */

static uintptr_t allocator_start, allocator_end; /* module of the real malloc; empty when that is libc */

alignas(16) char bootstrap_buffer[BOOTSTRAP_BYTES];
static _Atomic size_t bootstrap_used;

void *bootstrap_allocate(size_t bytes, size_t alignment)
{
    if (alignment < 16)
        alignment = 16;
    size_t start, end, used = atomic_load(&bootstrap_used);
    do {
        start = (used + alignment - 1) & ~(alignment - 1);
        end = start + ((bytes + 15) & ~(size_t)15);
        if (end > sizeof bootstrap_buffer || end < start)
            return NULL;
    } while (!atomic_compare_exchange_weak(&bootstrap_used, &used, end));
    return bootstrap_buffer + start;
}

bool bootstrap_is_unused(void)
{
    return atomic_load(&bootstrap_used) == 0;
}

size_t bootstrap_size(const void *block)
{
    return (size_t)(bootstrap_buffer + sizeof bootstrap_buffer - (const char *)block);
}

/* The real dlsym cannot be had from dlsym, which is our own hook: dlvsym has it, under the version of this architecture's ABI. */
static void resolve_loader_functions(void)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.27", "GLIBC_2.0"};
    void *scope = late_started ? RTLD_DEFAULT : RTLD_NEXT;
    for (size_t i = 0; i < ARRAY_LENGTH(versions) && !real.dlsym; i++)
        real.dlsym = (void *(*)(void *, const char *))dlvsym(scope, "dlsym", versions[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(versions) && !real.dlopen; i++)
        real.dlopen = (void *(*)(const char *, int))dlvsym(scope, "dlopen", versions[i]);
}

struct definition_search {
    const char *name;
    void *found;
};

static int look_for_definition(struct dl_phdr_info *info, size_t info_bytes, void *context)
{
    struct definition_search *search = context;
    struct link_map module = {.l_addr = info->dlpi_addr};
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            module.l_ld = (ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    void *found = elf_symbols_find(&module, search->name);
    if (found && !own_code_holds(found))
        search->found = found;
    return search->found != NULL;
}

/* Who defines it, in the loader's order. */
static void *definition_of(const char *name)
{
    struct definition_search search = {.name = name};
    dl_iterate_phdr(look_for_definition, &search);
    if (search.found)
        return search.found;
    void *libc = real.dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD); /* what is chosen by the processor has no plain address */
    return libc ? real.dlsym(libc, name) : NULL;
}

/* A library that came late stands in nobody's scope but its own, where it is asked last: what all the program calls is found first. What is
 * found in an executable may be its own jump to the function, which would lead back to us. */
static void *program_s_own(const char *name)
{
    struct dl_find_object where;
    void *found = real.dlsym(RTLD_DEFAULT, name);
    if (!found || own_code_holds(found))
        return NULL;
    int is_executable_s = _dl_find_object(found, &where) == 0 && where.dlfo_link_map == _r_debug.r_map;
    return is_executable_s ? definition_of(name) : found;
}

void *real_next(const char *name)
{
    return late_started ? program_s_own(name) : real.dlsym(RTLD_NEXT, name);
}

void real_module_of(const void *address, uintptr_t *ret_start, uintptr_t *ret_end)
{
    struct dl_find_object found;
    if (_dl_find_object((void *)address, &found) == 0) {
        *ret_start = (uintptr_t)found.dlfo_map_start;
        *ret_end = (uintptr_t)found.dlfo_map_end;
    }
}

static void find_module_ranges(void)
{
    uintptr_t libc_start = 0, libc_end = 0;
    real_module_of((const void *)(uintptr_t)real.malloc, &allocator_start, &allocator_end);
    real_module_of((const void *)(uintptr_t)real.execve, &libc_start, &libc_end);
    if (allocator_start == libc_start)
        allocator_start = allocator_end = 0;
}

int real_resolve(void)
{
    void *self = &current_thread;
    void *nobody = NULL;
    if (!atomic_compare_exchange_strong(&resolver, &nobody, self)) {
        if (nobody == self)
            return atomic_load(&real_ready) != 0;
        while (!atomic_load_explicit(&real_ready, memory_order_acquire))
            sched_yield();
        return 1;
    }
    resolve_loader_functions();
    if (!real.dlsym)
        return 0;
#define RESOLVE(type, name, parameters) real.name = (__typeof__(real.name))real_next(#name);
    REAL_FUNCTIONS(RESOLVE)
#undef RESOLVE
    find_module_ranges();
    atomic_store_explicit(&real_ready, 1, memory_order_release);
    return 1;
}

bool real_is_allocator(const void *return_address)
{
    return (uintptr_t)return_address - allocator_start < allocator_end - allocator_start;
}
