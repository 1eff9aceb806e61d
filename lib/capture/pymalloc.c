/* See pymalloc.h. */
#include "pymalloc.h"

#include <dlfcn.h>
#include <string.h>

#include "python_api.h"
#include "python_frame.h"
#include "thread_state.h"

/* Since glibc 2.35. */
extern __typeof__(_dl_find_object) _dl_find_object __attribute__((weak));

static const struct link_map *module_of(const void *function)
{
    struct dl_find_object found;
    return _dl_find_object && _dl_find_object((void *)(uintptr_t)function, &found) == 0 ? found.dlfo_link_map : NULL;
}

static int is_of_interpreter(const void *function)
{
    const struct link_map *module = module_of(function);
    return module && module == module_of((const void *)(uintptr_t)python_api.set_allocator);
}

/* Its functions have no name outside; but they are the interpreter's, and not the raw domain's, which malloc serves; the debug hooks have a
 * context. From 3.13 on mimalloc looks the same, and the allocator's name may be asked for at any time (in 3.12 it needs a lock that isn't there yet). */
int pymalloc_serves(void)
{
    struct python_allocator raw, mem, obj;
    python_api.get_allocator(PYTHON_RAW, &raw);
    python_api.get_allocator(PYTHON_MEM, &mem);
    python_api.get_allocator(PYTHON_OBJ, &obj);
    if (mem.malloc != obj.malloc || mem.free != obj.free || mem.context || obj.context || obj.malloc == raw.malloc || obj.free == raw.free ||
        !is_of_interpreter((const void *)(uintptr_t)obj.malloc) || !is_of_interpreter((const void *)(uintptr_t)obj.free))
        return 0;
    if (python_api.version < VERSION_3_13)
        return 1;
    const char *name = python_api.allocator_name ? python_api.allocator_name() : NULL;
    return name && strcmp(name, "pymalloc") == 0;
}

static struct python_arena_allocator arenas_below;

/* As by an object hook: the mapping hook asks whom it serves. */
static void *map_arena(void *context, size_t bytes)
{
    struct thread_state *thread = current_thread;
    uint64_t request = thread->object_request;
    thread->object_request = bytes + 1;
    void *arena = arenas_below.map(arenas_below.context, bytes);
    thread->object_request = request;
    return arena;
}

static void unmap_arena(void *context, void *arena, size_t bytes)
{
    arenas_below.unmap(arenas_below.context, arena, bytes);
}

int pymalloc_mark_arenas(void)
{
    if (!python_api.get_arena_allocator || !python_api.set_arena_allocator)
        return 0;
    struct python_arena_allocator current, marked = {NULL, map_arena, unmap_arena};
    python_api.get_arena_allocator(&current);
    if (current.map == map_arena)
        return 1;
    if (arenas_below.map)
        return 0; /* somebody stands over us: not twice */
    arenas_below = current;
    python_api.set_arena_allocator(&marked);
    return 1;
}
