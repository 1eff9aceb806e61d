/* Consumes addresses, produces module ids and DEFINE_MODULE records.
 *
 * The known modules are a short array. An entry is current when it was confirmed in this epoch; a stale one is confirmed again when what
 * lies at its place now is the same file: equal range, load bias, path and build id. */
#include "module_table.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "byte_hash.h"
#include "definitions.h"
#include "pages.h"
#include "python_attach.h"

#define FIRST_CAPACITY 128u
#define BUILD_ID_MAX_BYTES 64u
#define PATH_MAX_BYTES 4096u

_Atomic uint32_t module_table_epoch = 1;
_Atomic uint32_t module_table_greenlet = UINT32_MAX;

void module_table_changed(void)
{
    atomic_fetch_add_explicit(&module_table_epoch, 1, memory_order_release);
}

#ifdef DLFO_STRUCT_HAS_EH_DBASE /* <dlfcn.h> of glibc 2.35 and later */

extern __typeof__(_dl_find_object) _dl_find_object __attribute__((weak));

struct module {
    uint64_t start, end, load_bias;
    uint64_t identity; /* hash of path and build id */
    uint32_t epoch;    /* when it was last confirmed */
};

/* What the dynamic linker and the mapped headers say about one module. */
struct module_facts {
    uint64_t start, end, load_bias;
    const uint8_t *build_id;
    uint32_t build_id_bytes;
    uint32_t path_bytes;
    const char *path;
};

static struct module *modules; /* modules[i] has the id i + 1; under the definition lock, like all below */
static uint32_t module_count, module_capacity;
static char program_path[PATH_MAX_BYTES];

static uint64_t identity_of(const struct module_facts *facts)
{
    uint64_t hash = hash_bytes(HASH_BYTES_START, facts->path, facts->path_bytes);
    return hash_bytes(hash, facts->build_id, facts->build_id_bytes);
}

static void find_build_id_in_notes(struct module_facts *facts, const char *notes, const char *end, size_t alignment)
{
    while ((size_t)(end - notes) >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *note = (const void *)notes;
        const char *name = notes + sizeof *note;
        const char *bytes = name + ((note->n_namesz + alignment - 1) & ~(alignment - 1));
        if (note->n_namesz > (size_t)(end - name) || bytes > end || note->n_descsz > (size_t)(end - bytes))
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && !memcmp(name, "GNU", 4)) {
            facts->build_id = (const uint8_t *)bytes;
            facts->build_id_bytes = note->n_descsz < BUILD_ID_MAX_BYTES ? note->n_descsz : BUILD_ID_MAX_BYTES;
            return;
        }
        size_t padded = (note->n_descsz + alignment - 1) & ~(alignment - 1);
        if (padded > (size_t)(end - bytes))
            return;
        notes = bytes + padded;
    }
}

/* The first segment of what the linker loads begins with the file's header; where it does not, there is no build id to be had. */
static void find_build_id(struct module_facts *facts)
{
    const ElfW(Ehdr) *header = (const void *)facts->start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > 4096)
        return;
    const ElfW(Phdr) *segments = (const void *)(facts->start + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum && !facts->build_id; i++) {
        uint64_t start = facts->load_bias + segments[i].p_vaddr;
        if (segments[i].p_type != PT_NOTE || start < facts->start || start + segments[i].p_memsz > facts->end)
            continue;
        find_build_id_in_notes(facts, (const char *)start, (const char *)start + segments[i].p_memsz, segments[i].p_align == 8 ? 8 : 4);
    }
}

/* Programs that are several by their links are called what they were run as, if that leads to the file that runs: AT_EXECFN may be a script, or
 * relative. Interpreters of Python keep the name with their version; and names below /proc and /dev mean another file to whom reads the trace. */
static int is_name_of_file(const char *name, const char *base)
{
    return *name == '/' && strncmp(name, "/proc/", 6) && strncmp(name, "/dev/", 5) && strncmp(base, "python", strlen("python"));
}

static size_t executed_path(char *path, size_t capacity)
{
    const char *name = (const char *)getauxval(AT_EXECFN), *slash = name ? strrchr(name, '/') : NULL;
    size_t bytes = name ? strnlen(name, capacity) : 0;
    struct stat named, running;
    if (!slash || bytes >= capacity || !is_name_of_file(name, slash + 1) ||
        syscall(SYS_newfstatat, AT_FDCWD, name, &named, 0) != 0 || syscall(SYS_newfstatat, AT_FDCWD, "/proc/self/exe", &running, 0) != 0 ||
        named.st_dev != running.st_dev || named.st_ino != running.st_ino)
        return 0;
    for (size_t i = 0; i < bytes; i++) /* once: programs that change their title write over the original */
        path[i] = name[i];
    return bytes;
}

/* The linker gives the main program an empty name. */
static void find_path(struct module_facts *facts, const struct link_map *map)
{
    facts->path = map->l_name ? map->l_name : "";
    facts->path_bytes = (uint32_t)strnlen(facts->path, PATH_MAX_BYTES);
    if (facts->path_bytes)
        return;
    static uint32_t executed_path_bytes;
    facts->path = program_path;
    if (!executed_path_bytes)
        executed_path_bytes = (uint32_t)executed_path(program_path, sizeof program_path);
    facts->path_bytes = executed_path_bytes;
    if (executed_path_bytes)
        return;
    long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", program_path, sizeof program_path);
    facts->path_bytes = length > 0 ? (uint32_t)length : 0;
}

static int confirm(struct module *module, const struct module_facts *facts, uint64_t identity, uint32_t epoch)
{
    if (module->start != facts->start || module->end != facts->end || module->load_bias != facts->load_bias ||
        module->identity != identity)
        return 0;
    module->epoch = epoch;
    return 1;
}

static int reserve_one(void)
{
    if (module_count < module_capacity)
        return 1;
    uint32_t capacity = module_capacity ? module_capacity * 2 : FIRST_CAPACITY;
    size_t old_bytes = module_capacity * sizeof *modules, bytes = capacity * sizeof *modules;
    struct module *grown = modules ? pages_remap(modules, old_bytes, bytes) : pages_map(bytes);
    if (!grown)
        return 0;
    modules = grown;
    module_capacity = capacity;
    return 1;
}

/* .../greenlet/_greenlet.cpython-311-x86_64-linux-gnu.so; before version 1: greenlet.cpython-... */
static int is_greenlet(const struct module_facts *facts)
{
    const char *name = facts->path, *end = facts->path + facts->path_bytes;
    for (const char *at = facts->path; at < end; at++)
        name = *at == '/' ? at + 1 : name;
    name += name < end && *name == '_';
    return (size_t)(end - name) > sizeof "greenlet." - 1 && !memcmp(name, "greenlet.", sizeof "greenlet." - 1);
}

static uint32_t define(const struct module_facts *facts, uint64_t identity, uint32_t epoch)
{
    if (!reserve_one())
        return 0;
    struct define_module record = {
        .module_id = module_count + 1,
        .build_id_bytes = facts->build_id_bytes,
        .path_bytes = facts->path_bytes,
        .load_bias = facts->load_bias,
        .start = facts->start,
        .end = facts->end,
    };
    if (!definitions_append(DEFINE_MODULE, &record, sizeof record, facts->build_id, facts->build_id_bytes, facts->path, facts->path_bytes))
        return 0;
    modules[module_count++] = (struct module){facts->start, facts->end, facts->load_bias, identity, epoch};
    if (is_greenlet(facts))
        atomic_store_explicit(&module_table_greenlet, module_count, memory_order_relaxed);
    return module_count;
}

static uint32_t identify(const struct dl_find_object *object, uint32_t epoch)
{
    struct module_facts facts = {
        .start = (uintptr_t)object->dlfo_map_start,
        .end = (uintptr_t)object->dlfo_map_end,
        .load_bias = object->dlfo_link_map->l_addr,
    };
    find_path(&facts, object->dlfo_link_map);
    find_build_id(&facts);
    uint64_t identity = identity_of(&facts);
    for (uint32_t i = module_count; i-- > 0;)
        if (confirm(&modules[i], &facts, identity, epoch))
            return i + 1;
    return define(&facts, identity, epoch);
}

static uint32_t find_current(uint64_t address, uint32_t epoch)
{
    for (uint32_t i = 0; i < module_count; i++)
        if (modules[i].epoch == epoch && address >= modules[i].start && address < modules[i].end)
            return i + 1;
    return 0;
}

static int is_gone(const struct module *module)
{
    struct dl_find_object object;
    return _dl_find_object((void *)(uintptr_t)module->start, &object) != 0 || (uintptr_t)object.dlfo_map_start != module->start ||
           object.dlfo_link_map->l_addr != module->load_bias;
}

void module_table_check(void)
{
    int any_gone = 0;
    if (!definitions_lock())
        return;
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    for (uint32_t i = 0; _dl_find_object && i < module_count && !any_gone; i++)
        any_gone = modules[i].epoch == epoch && is_gone(&modules[i]);
    definitions_unlock();
    if (any_gone)
        module_table_changed();
}

uint32_t module_table_find(uint64_t address)
{
    struct dl_find_object object;
    int saved_errno = errno;
    if (!definitions_lock())
        return 0;
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    uint32_t module = find_current(address, epoch), known_count = module_count;
    if (!module && _dl_find_object && _dl_find_object((void *)(uintptr_t)address, &object) == 0)
        module = identify(&object, epoch);
    int is_new = module_count != known_count;
    definitions_unlock();
    if (unlikely(is_new))
        python_attach_to(object.dlfo_link_map);
    errno = saved_errno;
    return module;
}

int module_table_may_be(uint64_t address, const char *part)
{
    struct dl_find_object object;
    if (!_dl_find_object || _dl_find_object((void *)(uintptr_t)address, &object) != 0)
        return 1;
    const char *path = object.dlfo_link_map->l_name;
    return path && strstr(path, part) != NULL;
}

#else

void module_table_check(void)
{
}

uint32_t module_table_find(uint64_t address)
{
    return 0;
}

int module_table_may_be(uint64_t address, const char *part)
{
    return 1;
}

#endif
