/* Consumes the list of loaded modules, produces python_api, installed hooks, and the session's word on the interpreter. */
#include "python_attach.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "code_table.h"
#include "elf_symbols.h"
#include "lock.h"
#include "module_table.h"
#include "object_hooks.h"
#include "python_api.h"
#include "python_frame.h"
#include "python_layout.h"
#include "python_loop.h"
#include "python_stack.h"
#include "recorder.h"

#define TYPE_DEALLOC 48 /* PyTypeObject.tp_dealloc, LP64, every version */

uint32_t python_attached;
struct python_api python_api;

static void (*code_dealloc_below)(void *code);

/* ---- finding it ---- */

/* Where a name was or is called differently, the newer spelling is first. */
static const struct {
    const char *names[2];
    size_t place; /* in struct python_api */
    int is_data;
    int is_optional;
} wanted[] = {
    {{"PyMem_GetAllocator"}, offsetof(struct python_api, get_allocator), 0},
    {{"PyMem_SetAllocator"}, offsetof(struct python_api, set_allocator), 0},
    {{"Py_IsInitialized"}, offsetof(struct python_api, is_initialized), 0},
    {{"Py_IsFinalizing", "_Py_IsFinalizing"}, offsetof(struct python_api, is_finalizing), 0},
    {{"PyInterpreterState_Head"}, offsetof(struct python_api, first_interpreter), 0},
    {{"PyInterpreterState_Next"}, offsetof(struct python_api, next_interpreter), 0},
    {{"PyThreadState_GetUnchecked", "_PyThreadState_UncheckedGet"}, offsetof(struct python_api, current_state), 0},
    {{"PyGILState_GetThisThreadState"}, offsetof(struct python_api, thread_state), 0},
    {{"Py_GetVersion"}, offsetof(struct python_api, version_text), 0},
    {{"_PyRuntime"}, offsetof(struct python_api, runtime), 1},
    {{"PyCode_Type"}, offsetof(struct python_api, code_type), 1},
    {{"_PyMem_GetCurrentAllocatorName"}, offsetof(struct python_api, allocator_name), 0, 1},
    {{"PyObject_GetArenaAllocator"}, offsetof(struct python_api, get_arena_allocator), 0, 1},
    {{"PyObject_SetArenaAllocator"}, offsetof(struct python_api, set_arena_allocator), 0, 1},
};

/* Data may lie in the executable instead, as a copy that the linker made for it (R_*_COPY): it comes before the library in the list. */
static void *find_data(const struct link_map *modules, const struct link_map *provider, const char *name)
{
    for (const struct link_map *module = modules; module != provider; module = module->l_next) {
        void *address = elf_symbols_find(module, name);
        if (address)
            return address;
    }
    return elf_symbols_find(provider, name);
}

static int find_api(const struct link_map *modules, const struct link_map *provider, struct python_api *ret_api)
{
    struct python_api api = {0};
    for (unsigned i = 0; i < ARRAY_LENGTH(wanted); i++) {
        void *address = NULL;
        for (int k = 0; k < 2 && !address && wanted[i].names[k]; k++)
            address = wanted[i].is_data ? find_data(modules, provider, wanted[i].names[k])
                                        : elf_symbols_find(provider, wanted[i].names[k]);
        if (!address && !wanted[i].is_optional)
            return 0;
        memcpy((char *)&api + wanted[i].place, &address, sizeof address);
    }
    *ret_api = api;
    return 1;
}

/* ---- taking it over ---- */

/* The address of a dying code object is forgotten. Its memory can be used again at once, so both sides of the real destruction count. */
static void code_dealloc(void *code)
{
    struct thread_state *thread = current_thread;
    uintptr_t busy = thread->busy;
    if (!busy)
        thread->busy = THREAD_INTERNAL;
    int known = code_table_death_begin((uintptr_t)code);
    if (!busy)
        thread->busy = THREAD_READY;
    code_dealloc_below(code);
    if (!known)
        return;
    if (!busy)
        thread->busy = THREAD_INTERNAL;
    code_table_death_end((uintptr_t)code);
    if (!busy)
        thread->busy = THREAD_READY;
}

static void watch_code_objects(void)
{
    void **slot = (void **)((char *)python_api.code_type + TYPE_DEALLOC);
    code_dealloc_below = (void (*)(void *))*slot;
    *slot = (void *)code_dealloc;
}

static void start_stacks(const struct link_map *provider)
{
    struct python_layout layout;
    unsigned index;
    uint32_t flags = 0;
    switch (python_layout_choose(python_api.version_text(), python_api.runtime, &python_api.version, &layout, &index)) {
    case PYTHON_LAYOUT_KNOWN:
        watch_code_objects();
        if (recorder_session->flags & SESSION_NATIVE && layout.version < VERSION_3_10)
            python_loop_find(provider);
        python_stack_start(&layout, index);
        break;
    case PYTHON_LAYOUT_FREE_THREADED: flags = PYTHON_STACKS_OFF | PYTHON_FREE_THREADED; break;
    case PYTHON_LAYOUT_UNKNOWN: flags = PYTHON_STACKS_OFF; break;
    }
    recorder_session->python_version = python_api.version;
    recorder_session->python_flags |= flags;
}

static const struct link_map *seen_last; /* the end of the list at the last look */
static uint32_t seen_epoch;

/* Has anything been loaded since the last look? The list only grows at its end; what dlclose does to it raises the module epoch. */
static int is_news(const struct link_map *modules)
{
    const struct link_map *last = modules;
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_relaxed);
    while (last->l_next)
        last = last->l_next;
    if (last == seen_last && epoch == seen_epoch)
        return 0;
    seen_last = last;
    seen_epoch = epoch;
    return 1;
}

/* An interpreter that is already running reads its table of allocators under its GIL. */
static int may_install(const struct python_api *api)
{
    const void *current = api->current_state();
    return !api->is_initialized() || (current && current == api->thread_state());
}

static int hooks_installed;

static void install_hooks(void)
{
    object_hooks_install();
    hooks_installed = 1;
}

/* While nothing is recorded CPython's allocators stay as they are. When recording starts its interpreter is at work: nobody else may be
 * reading its table of allocators. Without a GIL, or with one for each of several interpreters, somebody may. */
static int owns_allocators(void)
{
    const void *current = python_api.current_state();
    return current && current == python_api.thread_state() && !(recorder_session->python_flags & PYTHON_FREE_THREADED) &&
           !python_api.is_finalizing() && !python_api.next_interpreter(python_api.first_interpreter());
}

COLD static void install_late(void)
{
    if (owns_allocators())
        install_hooks();
}

int python_attach_may_sample(void)
{
    return !python_attached || object_hooks_sample() || (python_api.is_initialized() && owns_allocators() && object_hooks_exchange());
}

static void attach(const struct link_map *modules, const struct link_map *provider)
{
    struct python_api api;
    if (!find_api(modules, provider, &api))
        return;
    int may = may_install(&api), is_late = (recorder_session->flags & SESSION_ATTACHED) != 0;
    if (!may && !is_late) {
        seen_last = NULL;
        return;
    }
    python_api = api;
    start_stacks(provider);
    /* Where the library came into a running interpreter, the first thread that comes with the GIL does it. */
    if (may && !recorder_is_paused() && !(is_late && api.is_initialized()))
        install_hooks();
    __atomic_store_n(&python_attached, 1, __ATOMIC_RELEASE);
}

static struct lock attach_lock;

void python_attach_to(const struct link_map *module)
{
    int saved_errno = errno;
    lock_take(&attach_lock);
    const struct link_map *modules = python_attached ? NULL : elf_symbols_modules();
    if (modules && elf_symbols_find(module, "PyMem_SetAllocator"))
        attach(modules, module);
    lock_release(&attach_lock);
    errno = saved_errno;
}

void python_attach_after_fork(void)
{
    lock_reset(&attach_lock);
}

void python_attach_find(void)
{
    int saved_errno = errno;
    lock_take(&attach_lock);
    const struct link_map *modules = elf_symbols_modules();
    if (modules && !python_attached && is_news(modules))
        for (const struct link_map *module = modules; module && !python_attached; module = module->l_next)
            if (elf_symbols_find(module, "PyMem_SetAllocator"))
                attach(modules, module);
    lock_release(&attach_lock);
    errno = saved_errno;
}

void python_attach_check(void)
{
    if (!python_api.is_initialized() && !python_api.first_interpreter())
        install_hooks();
    else if (unlikely(!hooks_installed))
        install_late();
}
