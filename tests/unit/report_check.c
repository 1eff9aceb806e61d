/* See report_check.h. */
#include "report_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

/* ---- files ---- */

const char *test_folder(void)
{
    static char folder[PATH_MAX];
    if (!*folder) {
        const char *parent = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%s/heapline-test-XXXXXX", parent && *parent ? parent : "/tmp");
        CHECK(mkdtemp(folder));
        setenv("XDG_CACHE_HOME", test_path("cache"), 1);
    }
    return folder;
}

static void remove_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    char path[PATH_MAX];
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        CHECK(snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path);
        if (unlink(path))
            remove_folder(path);
    }
    if (directory)
        closedir(directory);
    rmdir(folder);
}

void test_folder_remove(void)
{
    remove_folder(test_folder());
}

const char *test_path(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];
    CHECK(snprintf(path, PATH_MAX, "%s/%s", test_folder(), name) < PATH_MAX);
    return path;
}

const char *script_save(struct script *script, const char *name, int end_reason)
{
    const char *path = test_path(name);
    char buffer[65536];
    int from = script_record(script, end_reason), to = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    CHECK(from >= 0 && to >= 0);
    lseek(from, 0, SEEK_SET);
    for (ssize_t count; (count = read(from, buffer, sizeof buffer)) > 0;)
        CHECK_EQUAL(write(to, buffer, (size_t)count), count);
    close(from);
    close(to);
    return path;
}

/* ---- scripts ---- */

uint32_t script_code(struct script *script, const char *file, const char *name, int32_t first_line, uint32_t python_version,
                     const void *table, uint32_t table_bytes)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_CODE,
        .code = {.code_id = script->codes + 1, .first_line = first_line, .python_version = python_version, .file = file, .name = name,
                 .file_bytes = (uint32_t)strlen(file), .name_bytes = (uint32_t)strlen(name), .line_table = table, .line_table_bytes = table_bytes},
    });
    return script->codes;
}

uint32_t script_python_node(struct script *script, uint32_t caller_id, uint32_t code_id, int32_t instruction)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_NODE,
        .node = {.stack_id = script->stacks + 1, .caller_id = caller_id, .frame_kind = TRACE_FRAME_PYTHON, .code_id = code_id,
                 .instruction = instruction},
    });
    return script->stacks;
}

uint32_t script_module(struct script *script, const char *path, const char *build_id, uint32_t build_id_bytes)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_MODULE,
        .module = {.module_id = script->modules + 1, .load_bias = 0x10000, .start = 0x10000, .end = 0x20000, .path = path,
                   .path_bytes = (uint32_t)strlen(path), .build_id = (const uint8_t *)build_id, .build_id_bytes = build_id_bytes},
    });
    return script->modules;
}

uint32_t script_native_node(struct script *script, uint32_t caller_id, uint32_t module_id, uint64_t address)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_NODE,
        .node = {.stack_id = script->stacks + 1, .caller_id = caller_id, .frame_kind = TRACE_FRAME_NATIVE, .module_id = module_id,
                 .address = address},
    });
    return script->stacks;
}

void script_thread(struct script *script, uint32_t thread_id, const char *name)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_THREAD,
        .thread = {.thread_id = thread_id, .kernel_id = 1000 + thread_id, .name = name, .name_bytes = (uint32_t)strlen(name)},
    });
}

void script_property(struct script *script, const char *key, const char *value)
{
    script_define(script, &(struct trace_definition){
        .kind = TRACE_DEFINE_PROPERTY,
        .property = {.key = key, .value = value, .key_bytes = (uint32_t)strlen(key), .value_bytes = (uint32_t)strlen(value)},
    });
}

void script_time(struct script *script, uint64_t time_ns)
{
    script_event(script, (struct trace_event){.kind = TRACE_TIME, .time_ns = time_ns});
}

void script_switch(struct script *script, uint32_t thread_id)
{
    script_event(script, (struct trace_event){.kind = TRACE_THREAD, .thread_id = thread_id});
}

void script_copy(struct script *script, uint64_t size_bytes, uint32_t stack_id)
{
    script_event(script, (struct trace_event){.kind = TRACE_COPY, .size_bytes = size_bytes, .stack_id = stack_id});
}

uint32_t script_undo_free(struct script *script, uint64_t size_bytes, uint32_t stack_id, unsigned flags)
{
    script_event(script, (struct trace_event){
        .kind = TRACE_UNDO_FREE, .size_bytes = size_bytes, .stack_id = stack_id, .flags = (uint8_t)flags});
    return script->steps[script->count - 1].event.slot;
}

/* ---- reports ---- */

struct replay *replay_file(int file)
{
    struct status_detail detail = {0};
    struct replay *replay;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int status = replay_run(path, NULL, NULL, &replay, &detail);
    if (status || replay->damage.status)
        fprintf(stderr, "%s\n", status ? detail.message : replay->damage.message);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(replay->damage.status, 0);
    return replay;
}

sqlite3 *report_open(const char *path)
{
    struct report_open_options options = {.no_cache = 1};
    struct status_detail detail = {0};
    sqlite3 *database = NULL;
    int status = report_database_open(path, &options, &database, &detail);
    if (status)
        fprintf(stderr, "%s: %s\n", path, detail.message);
    CHECK_EQUAL(status, 0);
    return database;
}

static sqlite3_stmt *query(sqlite3 *database, const char *format, va_list arguments)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_vmprintf(format, arguments);
    int status = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (status == SQLITE_OK)
        status = sqlite3_step(statement);
    if (status != SQLITE_ROW)
        fprintf(stderr, "%s\n%s\n", sql, status == SQLITE_DONE ? "no row" : sqlite3_errmsg(database));
    CHECK_EQUAL(status, SQLITE_ROW);
    sqlite3_free(sql);
    return statement;
}

int64_t report_number(sqlite3 *database, const char *sql, ...)
{
    va_list arguments;
    va_start(arguments, sql);
    sqlite3_stmt *statement = query(database, sql, arguments);
    va_end(arguments);
    int64_t value = sqlite3_column_type(statement, 0) == SQLITE_NULL ? -999 : sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

const char *report_text(sqlite3 *database, const char *sql, ...)
{
    static char texts[4][4096];
    static unsigned next;
    char *text = texts[next++ % 4];
    va_list arguments;
    va_start(arguments, sql);
    sqlite3_stmt *statement = query(database, sql, arguments);
    va_end(arguments);
    const unsigned char *value = sqlite3_column_text(statement, 0);
    snprintf(text, sizeof texts[0], "%s", value ? (const char *)value : "NULL");
    sqlite3_finalize(statement);
    return text;
}

static void check_sums(sqlite3 *database, const char *table)
{
    static const char *const columns[][2] = {
        {"peak_bytes", "peak_bytes"},
        {"peak_allocations", "peak_allocations"},
        {"live_bytes", "live_bytes_at_end"},
        {"live_allocations", "live_allocations_at_end"},
        {"allocated_bytes", "allocated_bytes"},
        {"allocations", "allocations"},
        {"temporary_allocations", "temporary_allocations"},
        {"copied_bytes", "copied_bytes"},
        {"copies", "copies"},
    };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (report_number(database, "SELECT coalesce(sum(%s), 0) FROM %s", columns[i][0], table) !=
            report_number(database, "SELECT %s FROM summary", columns[i][1])) {
            fprintf(stderr, "the sum of %s.%s is not the total\n", table, columns[i][0]);
            CHECK(0);
        }
}

void check_report_rules(sqlite3 *database)
{
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM summary"), 1);
    check_sums(database, "stack_use");
    check_sums(database, "line_use");
    check_sums(database, "lines");
    check_sums(database, "functions");
    check_sums(database, "files");
    CHECK_EQUAL(report_number(database, "SELECT coalesce(max(heap_peak_bytes), 0) FROM timeline"),
                report_number(database, "SELECT peak_bytes FROM summary"));
    CHECK_EQUAL(report_number(database, "SELECT heap_bytes FROM timeline ORDER BY time_ns DESC LIMIT 1"),
                report_number(database, "SELECT live_bytes_at_end FROM summary"));
    CHECK(report_number(database, "SELECT count(*) FROM timeline") <= 2000);
    CHECK_EQUAL(report_number(database, "SELECT max(time_ns) FROM timeline"), report_number(database, "SELECT duration_ns FROM summary"));
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM window"), 32);
    CHECK_EQUAL(report_number(database, "SELECT heap_bytes FROM window WHERE window_id = 31"),
                report_number(database, "SELECT live_bytes_at_end FROM summary"));
    /* At the end of the last window each stack holds what it holds at the end; stacks that hold nothing are not there. */
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM (SELECT stack_id, live_bytes, live_allocations FROM window_use WHERE "
                                        "window_id = 31 EXCEPT SELECT stack_id, live_bytes, live_allocations FROM stack_use)"), 0);
    CHECK_EQUAL(report_number(database, "SELECT coalesce(sum(live_bytes), 0) FROM window_use WHERE window_id = 31"),
                report_number(database, "SELECT coalesce(sum(live_bytes), 0) FROM stack_use WHERE stack_id >= 0"));
    /* No line has more of anything than everything, or less with its callees than by itself. */
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM line_use_inclusive, summary WHERE line_use_inclusive.allocated_bytes > "
                                        "summary.allocated_bytes OR line_use_inclusive.peak_bytes > summary.peak_bytes"), 0);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_use WHERE temporary_allocations > allocations"), 0);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_use WHERE oldest_live_ns > newest_live_ns"), 0);
    CHECK_EQUAL(report_number(database, "SELECT count(*) FROM stack_use LEFT JOIN stack USING (stack_id) LEFT JOIN frame ON "
                                        "frame.frame_id = stack.line_frame_id WHERE frame.frame_id IS NULL"), 0);
}
