/* elf_symbols.c finds what dlsym finds, in every module of this process; one of them has the old kind of hash table only. */
#include <dlfcn.h>

#include "check.h"
#include "elf_symbols.h"

int sysv_hash_function(void);
extern int sysv_hash_variable;

static const struct link_map *module_of(const void *address)
{
    Dl_info info;
    struct link_map *map = NULL;
    CHECK(dladdr1(address, &info, (void **)&map, RTLD_DL_LINKMAP));
    return map;
}

static void check_libc(void)
{
    static const char *const names[] = {"qsort", "printf", "stdout", "pthread_create", "environ", "getpid", "re_comp"};
    const struct link_map *libc = module_of((const void *)(uintptr_t)&qsort);
    void *handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(dlsym(handle, names[i]));
        CHECK(elf_symbols_find(libc, names[i]) == dlsym(handle, names[i]));
    }
    CHECK(!elf_symbols_find(libc, "no_such_function"));
    CHECK(!elf_symbols_find(libc, ""));
    CHECK(!elf_symbols_find(libc, "errno")); /* thread-local, and hidden */
}

static void check_old_hash(void)
{
    const struct link_map *module = module_of((const void *)(uintptr_t)&sysv_hash_function);
    CHECK_EQUAL(sysv_hash_function(), 7);
    CHECK(elf_symbols_find(module, "sysv_hash_function") == dlsym(RTLD_DEFAULT, "sysv_hash_function"));
    CHECK(elf_symbols_find(module, "sysv_hash_variable") == dlsym(RTLD_DEFAULT, "sysv_hash_variable"));
    CHECK(!elf_symbols_find(module, "sysv_hash_static"));
    CHECK(!elf_symbols_find(module, "qsort"));
}

/* All modules, the vDSO and the linker itself among them, can be asked; only the one that defines it says where. */
static void check_all_modules(void)
{
    int count = 0, definitions = 0;
    for (const struct link_map *module = elf_symbols_modules(); module; module = module->l_next, count++)
        definitions += elf_symbols_find(module, "qsort") != NULL;
    CHECK(count >= 4);
    CHECK_EQUAL(definitions, 1);
}

int main(void)
{
    check_libc();
    check_old_hash();
    check_all_modules();
    return 0;
}
