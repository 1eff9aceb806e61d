/* From stacks to lines: which frame a stack is credited to, what lines add up to inclusively, where code comes from, and which of the
 * interpreter's frames don't show. */
#include <sys/stat.h>

#include "check.h"
#include "frames.h"
#include "report_check.h"

#define PYTHON_3_13 0x030d

/* A location table: each instruction one line on from the one before, the first on the first line itself. */
static const uint8_t line_a_unit[] = {0x80 | 13 << 3, 0, 0x80 | 11 << 3, 0, 0, 0x80 | 11 << 3, 0, 0, 0x80 | 11 << 3, 0, 0, 0x80 | 15 << 3};

static uint32_t code(struct script *script, const char *file, const char *name, int32_t first_line)
{
    return script_code(script, file, name, first_line, PYTHON_3_13, line_a_unit, sizeof line_a_unit);
}

static sqlite3 *report(struct script *script)
{
    sqlite3 *database = report_open(script_save(script, "trace", TRACE_END_EXIT));
    check_report_rules(database);
    script_done(script);
    return database;
}

#define LINE(table, column, place) \
    report_number(database, "SELECT coalesce(sum(" column "), 0) FROM " table " WHERE file = 'a.py' AND line = %d", place)

static void lines_and_recursion(void)
{
    struct script script = {0};
    uint32_t f = code(&script, "a.py", "f", 10), g = code(&script, "a.py", "g", 20);
    uint32_t main_node = script_python_node(&script, 0, f, 0);          /* a.py:10 */
    uint32_t g1 = script_python_node(&script, main_node, g, 1);         /* 10 > 21 */
    uint32_t f2 = script_python_node(&script, g1, f, 0);                /* 10 > 21 > 10: recursion */
    uint32_t g2 = script_python_node(&script, f2, g, 2);                /* 10 > 21 > 10 > 22 */
    uint32_t g3 = script_python_node(&script, main_node, g, 2);         /* 10 > 22 */
    script_allocate(&script, 1, main_node, 0);
    script_allocate(&script, 10, g1, 0);
    script_allocate(&script, 100, f2, 0);
    script_allocate(&script, 1000, g2, 0);
    script_allocate(&script, 10000, g3, 0);
    script_copy(&script, 5, g2);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 10), 101);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 21), 10);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 22), 11000);
    CHECK_EQUAL(LINE("line_use", "allocations", 22), 2);
    CHECK_EQUAL(LINE("line_use", "copied_bytes", 22), 5);
    CHECK_EQUAL(LINE("line_use_inclusive", "allocated_bytes", 10), 11111);
    CHECK_EQUAL(LINE("line_use_inclusive", "allocations", 10), 5);
    CHECK_EQUAL(LINE("line_use_inclusive", "allocated_bytes", 21), 1110);
    CHECK_EQUAL(LINE("line_use_inclusive", "allocated_bytes", 22), 11000);
    CHECK_EQUAL(LINE("line_use_inclusive", "copied_bytes", 21), 5);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM line_use_inclusive"), 3);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM frame WHERE file = 'a.py'"), 3);
    CHECK_STRING(report_text(database, "SELECT text FROM stack_text WHERE stack_id = %u", g2),
                 "g (a.py:22) ← f (a.py:10) ← g (a.py:21) ← f (a.py:10)");
    CHECK_STRING(report_text(database, "SELECT function FROM functions LIMIT 1"), "g");
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM functions WHERE function = 'f'"), 101);
    sqlite3_close(database);
}

/* An instruction without a line is credited to the function's first one. */
static void no_line(void)
{
    struct script script = {0};
    uint32_t node = script_python_node(&script, 0, code(&script, "a.py", "f", 40), 4);
    script_allocate(&script, 8, node, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 40), 8);
    sqlite3_close(database);
}

/* The frame that 3.13 puts below __init__ is left out of stacks, and its own allocations belong to its caller. */
static void interpreter_shim(void)
{
    struct script script = {0};
    uint32_t f = code(&script, "a.py", "f", 10), init = code(&script, "a.py", "C.__init__", 30);
    uint32_t shim = script_code(&script, "__init__", "__init__", 0, PYTHON_3_13, "\xf8", 1);
    uint32_t caller = script_python_node(&script, 0, f, 0), hidden = script_python_node(&script, caller, shim, 0);
    uint32_t callee = script_python_node(&script, hidden, init, 1), root = script_python_node(&script, 0, shim, 0);
    script_allocate(&script, 1, caller, 0);
    script_allocate(&script, 20, hidden, 0);
    script_allocate(&script, 300, callee, 0);
    script_allocate(&script, 4000, root, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 10), 21);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 31), 300);
    CHECK_EQUAL(LINE("line_use_inclusive", "allocated_bytes", 10), 321);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use_inclusive WHERE function = 'unknown'"), 4000);
    CHECK_EQUAL(report_number(database, "SELECT depth FROM stack WHERE stack_id = %u", callee), 2);
    CHECK_STRING(report_text(database, "SELECT text FROM stack_text WHERE stack_id = %u", callee), "C.__init__ (a.py:31) ← f (a.py:10)");
    CHECK_STRING(report_text(database, "SELECT text FROM stack_text WHERE stack_id = %u", hidden), "f (a.py:10)");
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM frame WHERE function = '__init__'"), 0);
    sqlite3_close(database);
}

/* A native frame below a Python one is credited to the Python line; without one, to the innermost native frame, by its module. */
static void mixed_stacks(void)
{
    struct script script = {0};
    uint32_t module = script_module(&script, "/nowhere/libmade.so", "\x12\xab", 2);
    uint32_t python = script_python_node(&script, 0, code(&script, "a.py", "f", 10), 0);
    uint32_t native = script_native_node(&script, python, module, 0x1234);
    uint32_t alone = script_native_node(&script, 0, module, 0x5678), unknown = script_native_node(&script, 0, 0, 0x9);
    script_define(&script, &(struct trace_definition){
        .kind = TRACE_DEFINE_NODE, .node = {.stack_id = script.stacks + 1, .frame_kind = TRACE_FRAME_CUT}});
    uint32_t cut = script.stacks, below_cut = script_python_node(&script, cut, 1, 1);
    script_allocate(&script, 1, native, 0);
    script_allocate(&script, 20, alone, 0);
    script_allocate(&script, 300, unknown, 0);
    script_allocate(&script, 4000, cut, 0);
    script_allocate(&script, 50000, below_cut, 0);
    sqlite3 *database = report(&script);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 10), 1);
    CHECK_EQUAL(LINE("line_use", "allocated_bytes", 11), 50000);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE kind = 'native' AND file = '/nowhere/libmade.so' AND "
                                        "line IS NULL AND function = 'libmade.so+0x5678' AND origin = 'native'"), 20);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE kind = 'native' AND file IS NULL AND "
                                        "function = 'unknown module+0x9'"), 300);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use WHERE kind = 'cut' AND function = 'unknown callers'"), 4000);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM line_use_inclusive WHERE kind = 'cut'"), 54000);
    CHECK_STRING(report_text(database, "SELECT text FROM stack_text WHERE stack_id = %u", native),
                 "libmade.so+0x1234 (/nowhere/libmade.so) ← f (a.py:10)");
    CHECK_STRING(report_text(database, "SELECT build_id || ' ' || symbols FROM module WHERE path LIKE '%%libmade.so'"), "12ab absent");
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM modules WHERE module = '/nowhere/libmade.so'"), 21);
    sqlite3_close(database);
}

static void origins(void)
{
    static const struct {
        const char *path;
        enum frame_origin origin;
    } python[] = {
        {"/home/me/project/app.py", FRAME_USER},
        {"app.py", FRAME_USER},
        {"<string>", FRAME_USER},
        {"/home/me/lib/importlib/x.py", FRAME_USER},
        {"/home/me/lib/pythonic/x.py", FRAME_USER},
        {"/usr/lib/python3/dist-packages/numpy/core.py", FRAME_PACKAGE},
        {"/home/me/venv/lib/python3.12/site-packages/spacy/a.py", FRAME_PACKAGE},
        {"/usr/lib/python3.11/json/decoder.py", FRAME_STDLIB},
        {"/home/me/.pyenv/versions/3.8.18/lib/python3.8/os.py", FRAME_STDLIB},
        {"/opt/python/lib64/python3.13t/os.py", FRAME_STDLIB},
        {"/usr/lib/python311.zip/json/decoder.py", FRAME_STDLIB},
        {"<frozen os>", FRAME_STDLIB},
        {"<frozen importlib._bootstrap_external>", FRAME_IMPORT},
        {"<frozen runpy>", FRAME_IMPORT},
        {"<frozen zipimport>", FRAME_IMPORT},
        {"/usr/lib/python3.9/importlib/__init__.py", FRAME_IMPORT},
        {"/usr/lib/python3.9/runpy.py", FRAME_IMPORT},
    };
    static const struct {
        const char *path;
        enum frame_origin origin;
    } native[] = {
        {"/usr/lib/x86_64-linux-gnu/libc.so.6", FRAME_SYSTEM},
        {"/lib/x86_64-linux-gnu/libc.so.6", FRAME_SYSTEM},
        {"/home/me/.pyenv/versions/3.11.7/bin/python3.11", FRAME_SYSTEM},
        {"/opt/lib/libpython3.12.so.1.0", FRAME_SYSTEM},
        {"/home/me/app", FRAME_OF_NATIVE},
        {"/home/me/pythonic", FRAME_OF_NATIVE},
        {"/home/me/venv/lib/python3.12/site-packages/numpy/core/_multiarray.so", FRAME_PACKAGE},
    };
    for (size_t i = 0; i < sizeof python / sizeof *python; i++)
        if (frame_origin_of_python(python[i].path) != python[i].origin) {
            fprintf(stderr, "%s is %d\n", python[i].path, frame_origin_of_python(python[i].path));
            CHECK(0);
        }
    for (size_t i = 0; i < sizeof native / sizeof *native; i++)
        CHECK_EQUAL(frame_origin_of_module(native[i].path), native[i].origin);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(test_path(name), "w");
    CHECK(file && fputs(text, file) >= 0 && !fclose(file));
}

static int have(struct installed_packages *packages, const char *name)
{
    return installed_packages_have(packages, NULL, test_path(name));
}

/* What pip install --target app/vendor and pip install --target app left. */
static void installed(void)
{
    struct installed_packages packages = {0};
    static const char *const folders[] = {"app", "app/vendor", "app/vendor/requests-2.0.dist-info", "app/six-1.0.dist-info"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        CHECK(!mkdir(test_path(folders[i]), 0755));
    write_file("app/vendor/requests-2.0.dist-info/RECORD", "../../bin/tool,sha256=a,1\nrequests/__init__.py,sha256=b,2\nrequests/api.py,,\n"
                                                           "requests-2.0.dist-info/RECORD,,\n_cffi.abi3.so,sha256=c,3\n");
    write_file("app/six-1.0.dist-info/RECORD", "__pycache__/six.cpython-311.pyc,,\nsix.py,sha256=d,4");
    CHECK_EQUAL(have(&packages, "app/vendor/requests/api.py"), 1);
    CHECK_EQUAL(have(&packages, "app/vendor/requests/packages/idna/core.py"), 1);
    CHECK_EQUAL(have(&packages, "app/vendor/_cffi.abi3.so"), 1);
    CHECK_EQUAL(have(&packages, "app/six.py"), 1);
    CHECK_EQUAL(have(&packages, "app/handler.py"), 0);
    CHECK_EQUAL(have(&packages, "app/vendor/own.py"), 0);
    CHECK_EQUAL(have(&packages, "app/vendor/requests_extra/a.py"), 0);
    CHECK_EQUAL(have(&packages, "app/__pycache__/handler.py"), 0);
    CHECK_EQUAL(installed_packages_have(&packages, test_path("app"), "/vendor/requests/api.py"), 1);
    CHECK_EQUAL(installed_packages_have(&packages, NULL, "vendor/requests/api.py"), 0);
    installed_packages_done(&packages);
}

static void origin_of_installed(void)
{
    struct script script = {0};
    uint32_t api = code(&script, test_path("app/vendor/requests/api.py"), "get", 1);
    uint32_t handler = code(&script, test_path("app/handler.py"), "handle", 1);
    uint32_t outer = script_python_node(&script, 0, handler, 0);
    script_allocate(&script, 1, outer, 0);
    script_allocate(&script, 10, script_python_node(&script, outer, api, 0), 0);
    sqlite3 *database = report(&script);
    CHECK_STRING(report_text(database, "SELECT origin FROM line_use WHERE function = 'get'"), "package");
    CHECK_STRING(report_text(database, "SELECT origin FROM line_use WHERE function = 'handle'"), "user");
    sqlite3_close(database);
}

int main(void)
{
    test_folder();
    lines_and_recursion();
    no_line();
    interpreter_shim();
    mixed_stacks();
    origins();
    installed();
    origin_of_installed();
    test_folder_remove();
    return 0;
}
