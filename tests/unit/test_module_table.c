/* module_table.c: modules of this process as the dynamic linker sees them, through unloading and loading. */
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture_fixture.h"
#include "check.h"
#include "module_table.h"

static const struct define_module *next_module(void)
{
    const struct definition *record = capture_fixture_next();
    CHECK(record);
    CHECK_EQUAL(record->type, DEFINE_MODULE);
    return (const void *)(record + 1);
}

struct expected {
    const char *name;
    uint64_t load_bias;
    const uint8_t *build_id;
    uint32_t build_id_bytes;
};

static int find_expected(struct dl_phdr_info *info, size_t size, void *wanted)
{
    struct expected *expected = wanted;
    if (!strstr(info->dlpi_name[0] ? info->dlpi_name : "program", expected->name))
        return 0;
    expected->load_bias = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const char *at = (const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        const ElfW(Nhdr) *note = (const void *)at;
        if (info->dlpi_phdr[i].p_type == PT_NOTE && note->n_type == NT_GNU_BUILD_ID && !memcmp(at + sizeof *note, "GNU", 4)) {
            expected->build_id = (const uint8_t *)at + sizeof *note + 4;
            expected->build_id_bytes = note->n_descsz;
        }
    }
    return 1;
}

static void check_module(uint64_t address, uint32_t id, const char *name, const char *path)
{
    struct expected expected = {.name = name};
    CHECK(dl_iterate_phdr(find_expected, &expected));
    CHECK_EQUAL(module_table_find(address), id);
    CHECK_EQUAL(module_table_find(address), id);
    const struct define_module *module = next_module();
    CHECK_EQUAL(module->module_id, id);
    CHECK_EQUAL(module->load_bias, expected.load_bias);
    CHECK(address >= module->start && address < module->end);
    CHECK_EQUAL(module->build_id_bytes, expected.build_id_bytes);
    CHECK_BYTES((const uint8_t *)(module + 1), expected.build_id, expected.build_id_bytes);
    CHECK_EQUAL(module->path_bytes, strlen(path));
    CHECK_BYTES((const char *)(module + 1) + module->build_id_bytes, path, strlen(path));
    CHECK(!capture_fixture_next());
}

static void check_plugin(const char *plugin)
{
    void *handle = dlopen(plugin, RTLD_NOW);
    CHECK(handle);
    uint64_t address = (uintptr_t)dlsym(handle, "sysv_hash_function");
    uint32_t id = module_table_find(address);
    CHECK_EQUAL(id, 3);
    CHECK_EQUAL(next_module()->module_id, 3);
    dlclose(handle);
    module_table_changed();
    CHECK_EQUAL(module_table_find(address), 0); /* nothing there any more */
    handle = dlopen(plugin, RTLD_NOW);
    uint64_t again = (uintptr_t)dlsym(handle, "sysv_hash_function");
    id = module_table_find(again);
    if (again == address) /* the same file in the same place is the same module */
        CHECK_EQUAL(id, 3);
    else
        CHECK_EQUAL(next_module()->module_id, 4);
    CHECK(!capture_fixture_next());
}

int main(int count, char **arguments)
{
    char program[4096] = {0};
    Dl_info libc;
    CHECK(count == 2);
    CHECK(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    CHECK(dladdr((const void *)(uintptr_t)&qsort, &libc));
    capture_fixture_begin();
    check_module((uintptr_t)&main, 1, "program", program);
    check_module((uintptr_t)&qsort, 2, "libc.so", libc.dli_fname);
    CHECK_EQUAL(module_table_find((uintptr_t)&program), 0);
    CHECK_EQUAL(module_table_find(0), 0);
    module_table_changed();
    CHECK_EQUAL(module_table_find((uintptr_t)&main), 1); /* confirmed again, not defined again */
    CHECK_EQUAL(module_table_find((uintptr_t)&qsort), 2);
    CHECK(!capture_fixture_next());
    check_plugin(arguments[1]);
    return 0;
}
