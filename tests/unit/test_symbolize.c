/* Functions and lines of this very program, and of copies of it that lost parts of what is needed. */
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <unistd.h>

#include "check.h"
#include "demangle.h"
#include "report_check.h"
#include "symbolize.h"

int marked_function(int number);
__attribute__((noinline)) int marked_function(int number)
{
    return number * 3 + 1;
}
int other_function(int number);
__attribute__((noinline)) int other_function(int number)
{
    return number * 5 + 2;
}
enum { MARKED_LINE = __LINE__ - 7 }; /* of the statement above */

static const char *own_path(void)
{
    static char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    CHECK(length > 0);
    return path;
}

/* Run-time address minus load bias: a little past the function's beginning, in its first statement. */
static uint64_t address_of(int (*function)(int))
{
    struct link_map *map;
    Dl_info info;
    CHECK(dladdr1((void *)function, &info, (void **)&map, RTLD_DL_LINKMAP));
    return (uint64_t)(uintptr_t)function - map->l_addr;
}

static uint64_t marked_address(void)
{
    return address_of(marked_function);
}

/* What the address belongs to; nothing was inlined there. */
static struct symbol find(struct symbolizer *symbolizer, uint64_t address)
{
    const struct symbol *symbols;
    size_t count = symbolizer_find(symbolizer, address, &symbols);
    CHECK(count <= 1);
    return count ? symbols[0] : (struct symbol){0};
}

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
    char command[16384];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    return system(command);
}

static void own_lines(void)
{
    struct symbolizer *symbolizer = symbolizer_open(own_path(), "", NULL);
    CHECK_EQUAL(symbolizer_state(symbolizer), SYMBOLIZER_LINES);
    int lowest = INT32_MAX, highest = 0;
    for (uint64_t offset = 0; offset < 4; offset++) {
        struct symbol symbol = find(symbolizer, marked_address() + offset);
        CHECK_STRING(symbol.function, "marked_function");
        CHECK_STRING(strrchr(symbol.file, '/'), "/test_symbolize.c");
        CHECK(symbol.file[0] == '/' && !strstr(symbol.file, "/../") && !access(symbol.file, R_OK));
        lowest = symbol.line < lowest ? symbol.line : lowest;
        highest = symbol.line > highest ? symbol.line : highest;
    }
    CHECK(lowest >= MARKED_LINE - 2 && highest <= MARKED_LINE + 1);
    struct symbol nothing = find(symbolizer, 1);
    CHECK(!nothing.file && !nothing.line);
    symbolizer_close(symbolizer);
}

static void build_ids(void)
{
    struct symbolizer *symbolizer = symbolizer_open(own_path(), "0123456789abcdef0123456789abcdef01234567", NULL);
    CHECK_EQUAL(symbolizer_state(symbolizer), SYMBOLIZER_CHANGED);
    CHECK(!find(symbolizer, marked_address()).function);
    symbolizer_close(symbolizer);
    symbolizer = symbolizer_open("/nowhere/at/all", "", NULL);
    CHECK_EQUAL(symbolizer_state(symbolizer), SYMBOLIZER_ABSENT);
    CHECK(!find(symbolizer, 4096).function);
    symbolizer_close(symbolizer);
    symbolizer = symbolizer_open("/dev/null", "", NULL);
    CHECK_EQUAL(symbolizer_state(symbolizer), SYMBOLIZER_ABSENT);
    symbolizer_close(symbolizer);
}

/* Debug information in a file beside the stripped program, by .gnu_debuglink; then without it; then without any symbols. */
static void stripped(void)
{
    if (run("objcopy --version >/dev/null 2>&1"))
        return;
    const char *program = test_path("program"), *debug = test_path("program.debug");
    CHECK_EQUAL(run("objcopy --only-keep-debug '%s' '%s' && objcopy --strip-debug --strip-unneeded --add-gnu-debuglink='%s' '%s' '%s'",
                    own_path(), debug, debug, own_path(), program), 0);
    struct symbolizer *symbolizer = symbolizer_open(program, "", NULL);
    CHECK_EQUAL(symbolizer_state(symbolizer), SYMBOLIZER_LINES);
    struct symbol symbol = find(symbolizer, marked_address());
    CHECK_STRING(symbol.function, "marked_function");
    CHECK_STRING(strrchr(symbol.file, '/'), "/test_symbolize.c");
    symbolizer_close(symbolizer);
    unlink(debug);
    CHECK_EQUAL(run("objcopy --strip-debug '%s' '%s'", own_path(), program), 0);
    symbolizer = symbolizer_open(program, "", NULL);
    CHECK_EQUAL(symbolizer_state(symbolizer), SYMBOLIZER_SYMBOLS);
    symbol = find(symbolizer, marked_address());
    CHECK_STRING(symbol.function, "marked_function");
    CHECK(!symbol.file);
    symbolizer_close(symbolizer);
}

static void damaged_files(void)
{
    const char *path = test_path("damaged");
    for (int cut = 0; cut < 8; cut++) {
        CHECK_EQUAL(run("head -c %d '%s' > '%s'", 1 + 3000 * cut, own_path(), path), 0);
        struct symbolizer *symbolizer = symbolizer_open(path, "", NULL);
        find(symbolizer, marked_address());
        symbolizer_close(symbolizer);
    }
}

static void cxx_names(void)
{
    char *name = demangle("_ZNSt6vectorIiSaIiEE9push_backERKi");
    if (name)
        CHECK_STRING(name, "std::vector<int, std::allocator<int> >::push_back(int const&)");
    free(name);
    CHECK(!demangle("main"));
    CHECK(!demangle("_Zno name"));
}

static void rust_names(void)
{
    static const char *const names[][2] = {
        {"_ZN4core3fmt9Formatter9write_str17h0123456789abcdefE", "core::fmt::Formatter::write_str"},
        {"_ZN70_$LT$alloc..vec..Vec$LT$T$C$A$GT$$u20$as$u20$core..ops..drop..Drop$GT$4drop17h0123456789abcdefE",
         "<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop"},
        {"_ZN3foo3barE", "foo::bar"}, /* C++ */
        {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
        {"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
        {"_RNCNvCs1234_7mycrate4main0B3_", "mycrate::main::{closure#0}"},
        {"_RINvNtC3std3mem8align_ofjdE", "std::mem::align_of::<usize, f64>"},
        {"_RNvXCs1234_7mycrateNtB2_7ExampleNtB2_5Trait3foo", "<mycrate::Example as mycrate::Trait>::foo"},
        {"_RNvMCs1234_7mycrateNtB2_7Example3foo", "<mycrate::Example>::foo"},
        {"_RINvC1c1fRShTlbEKj2a_PFUKCmEuE", "c::f::<&[u8], (i32, bool), 42, *const unsafe fn(u32)>"},
    };
    static const char *const damaged[] = {"_R", "_RN", "_RNvB_3foo", "_RNvC9short1f", "_RNvCs", "_RINvC1c1fA"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *name = demangle(names[i][0]);
        if (name || i != 2)
            CHECK_STRING(name, names[i][1]);
        free(name);
    }
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        CHECK(!demangle(damaged[i]));
}

/* The running kernel's vDSO is known by its build id alone: there is no file. */
static void vdso(void)
{
    struct symbolizer *symbolizer = symbolizer_open("[vdso]", "", NULL);
    if (symbolizer_state(symbolizer) >= SYMBOLIZER_SYMBOLS) {
        void *own = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
        void *function = own ? dlsym(own, "__vdso_clock_gettime") : NULL;
        struct link_map *map;
        Dl_info info;
        if (function && dladdr1(function, &info, (void **)&map, RTLD_DL_LINKMAP)) {
            const char *name = find(symbolizer, (uint64_t)(uintptr_t)function - map->l_addr).function;
            CHECK(name && strstr(name, "clock_gettime"));
        }
    }
    symbolizer_close(symbolizer);
    symbolizer = symbolizer_open("[vdso]", "0123456789abcdef0123456789abcdef01234567", NULL);
    CHECK(symbolizer_state(symbolizer) < SYMBOLIZER_SYMBOLS);
    symbolizer_close(symbolizer);
}

/* The whole way: a return address in a trace becomes a line of the report. */
static void in_a_report(void)
{
    struct script script = {0};
    uint32_t module = script_module(&script, own_path(), "", 0);
    uint32_t helper = script_module(&script, "/nowhere/libhelper.so", "", 0);
    uint32_t node = script_native_node(&script, 0, module, marked_address() + 1);
    uint32_t below = script_native_node(&script, node, helper, 0x77);
    uint32_t call_before = script_native_node(&script, 0, module, marked_address()); /* of a call that is the last thing before it */
    script_allocate(&script, 10, node, 0);
    script_allocate(&script, 3000, call_before, 0);
    script_allocate(&script, 200, below, 0); /* a helper without lines credits who called it */
    sqlite3 *database = report_open(script_save(&script, "trace", TRACE_END_EXIT));
    check_report_rules(database);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE function = 'marked_function' AND kind = 'native' AND "
                                        "file LIKE '%%/test_symbolize.c' AND line BETWEEN %d AND %d", MARKED_LINE - 2, MARKED_LINE + 1), 210);
    CHECK_STRING(report_text(database, "SELECT symbols FROM module WHERE module_id = 1"), "lines");
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use_inclusive WHERE function = 'libhelper.so+0x77'"), 200);
    sqlite3_close(database);
    script_done(&script);
}

/* What a trace brings along is used as far as it makes sense. */
static void bundled(void)
{
    static const char *const nonsense[] = {"", "\n\n", "module", "module 99999999999 lines\n1\tf\tg\t1", "module 0 lines\n1\tf\tg\t1\n", "\tf\tg\t1\n",
                                           "module 1 lines\n\tf\tg\t1\n\t\t\t\n", "module 1 lines\nzz\tf", "module 1 lines\n41\t\t\t-7\n41"};
    struct script script = {0};
    char key[32];
    uint32_t module = script_module(&script, "/nowhere/bundled.so", "", 0);
    uint32_t known = script_native_node(&script, 0, module, 0x1235), unknown = script_native_node(&script, 0, module, 0x1236);
    script_allocate(&script, 10, known, 0);
    script_allocate(&script, 200, unknown, 0);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        snprintf(key, sizeof key, "symbols.%zu", i + 1);
        script_property(&script, key, nonsense[i]);
    }
    script_property(&script, "symbols.0", "module 1 lines\n1235\tinner\t/usr/include/x.h\t3\n\touter\t/src/o.c\t70\n");
    sqlite3 *database = report_open(script_save(&script, "trace", TRACE_END_EXIT));
    check_report_rules(database);
    CHECK_STRING(report_text(database, "SELECT symbols FROM module"), "lines");
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE function = 'outer' AND file = '/src/o.c' AND line = 70"), 10);
    CHECK_EQUAL(report_number(database, "SELECT depth FROM stack WHERE stack_id = 1"), 2);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE function = 'bundled.so+0x1236'"), 200);
    sqlite3_close(database);
    script_done(&script);
}

/* A line of a system library, known where its debug information is installed, comes after a line of the program; but before none. */
static void system_lines_last(void)
{
    struct script script = {0};
    const char *interpreter = test_path("python3.99"); /* the interpreter counts as system by its name */
    CHECK_EQUAL(run("cp '%s' '%s'", own_path(), interpreter), 0);
    uint32_t program = script_module(&script, own_path(), "", 0), library = script_module(&script, interpreter, "", 0);
    uint32_t caller = script_native_node(&script, 0, program, address_of(other_function) + 1);
    uint32_t below = script_native_node(&script, caller, library, marked_address() + 1);
    uint32_t alone = script_native_node(&script, 0, library, marked_address() + 1);
    script_allocate(&script, 10, below, 0);
    script_allocate(&script, 200, alone, 0);
    sqlite3 *database = report_open(script_save(&script, "trace", TRACE_END_EXIT));
    check_report_rules(database);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE function = 'other_function'"), 10);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE function = 'marked_function'"), 200);
    CHECK_STRING(report_text(database, "SELECT origin FROM line_use WHERE function = 'marked_function'"), "system");
    sqlite3_close(database);
    script_done(&script);
}

int main(void)
{
    CHECK_EQUAL(marked_function(2) + other_function(2), 7 + 12);
    test_folder();
    own_lines();
    build_ids();
    stripped();
    damaged_files();
    cxx_names();
    rust_names();
    vdso();
    in_a_report();
    bundled();
    system_lines_last();
    test_folder_remove();
    return 0;
}
