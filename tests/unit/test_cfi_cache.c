/* cfi_cache.c: rows as cfi.c finds them, with their modules, however often and by however many threads they are asked for, within one epoch. */
#include <dlfcn.h>
#include <pthread.h>

#include "capture_fixture.h"
#include "cfi_cache.h"
#include "check.h"
#include "module_table.h"
#include "pages.h"

#define THREADS 4
#define ROUNDS 20

static uint64_t libc_start;

static void check_row(struct cfi_cache *cache, uint64_t address)
{
    struct cfi_row expected, row = *cfi_cache_find(cache, address);
    cfi_find(address, &expected);
    CHECK_EQUAL(row.rule, expected.rule);
    CHECK_EQUAL(row.frame_pointer_offset, expected.frame_pointer_offset);
    CHECK_EQUAL(row.module, module_table_find(address - 1));
}

/* More places in libc than a thread's cache has room for; the same ones of all threads. */
static void *ask(void *unused)
{
    capture_fixture_thread();
    struct cfi_cache own, *cache = &own;
    CHECK(cfi_cache_init(cache));
    cfi_cache_forget(cache, module_table_epoch);
    for (int round = 0; round < ROUNDS; round++)
        for (uint64_t address = libc_start + 0x28000; address < libc_start + 0x58000; address += 37)
            check_row(cache, address);
    CHECK(cache->mask > 1000); /* it has grown */
    cfi_cache_done(cache);
    return unused;
}

static void test_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, ask, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
}

static void test_addresses_of_all_kinds(struct cfi_cache *cache)
{
    static char no_code[16];
    CHECK_EQUAL(cfi_row_kind(cfi_cache_find(cache, 0)), CFI_UNKNOWN);
    CHECK_EQUAL(cfi_row_kind(cfi_cache_find(cache, ~0ull)), CFI_UNKNOWN);
    CHECK_EQUAL(cfi_row_kind(cfi_cache_find(cache, (uintptr_t)pages_map(4096))), CFI_UNKNOWN);
    CHECK_EQUAL(cfi_row_kind(cfi_cache_find(cache, (uintptr_t)no_code)), CFI_UNKNOWN);
    /* What holds the cache is linked into this program: its code is "our own". */
    CHECK_EQUAL(cfi_cache_find(cache, (uintptr_t)test_addresses_of_all_kinds + 8)->module, CFI_MODULE_OWN);
    check_row(cache, (uintptr_t)dlsym(RTLD_DEFAULT, "qsort") + 8);
}

/* After a dlclose another library may lie where a known one was. */
static void test_epochs(struct cfi_cache *cache, const char *plugin)
{
    void *handle = dlopen(plugin, RTLD_NOW);
    CHECK(handle);
    uint64_t address = (uintptr_t)dlsym(handle, "sysv_hash_function") + 1;
    uint32_t module = cfi_cache_find(cache, address)->module;
    CHECK(module != 0 && module != CFI_MODULE_OWN);
    CHECK_EQUAL(dlclose(handle), 0);
    CHECK_EQUAL(cfi_cache_find(cache, address)->module, module);
    module_table_changed();
    cfi_cache_forget(cache, module_table_epoch);
    CHECK_EQUAL(cfi_cache_find(cache, address)->module, 0);
    CHECK_EQUAL(cfi_row_kind(cfi_cache_find(cache, address)), CFI_UNKNOWN);
}

int main(int argc, char **argv)
{
    Dl_info libc;
    CHECK_EQUAL(argc, 2);
    CHECK(dladdr(dlsym(RTLD_DEFAULT, "qsort"), &libc));
    libc_start = (uintptr_t)libc.dli_fbase;
    capture_fixture_begin();
    struct cfi_cache own, *cache = &own;
    CHECK(cfi_cache_init(cache));
    cfi_cache_forget(cache, module_table_epoch);
    test_addresses_of_all_kinds(cache);
    test_threads();
    test_epochs(cache, argv[1]);
    return 0;
}
