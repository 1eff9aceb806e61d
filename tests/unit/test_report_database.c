/* Opening reports: kept ones are used while they fit and only then; damaged traces give their good part; processes of a run are found. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "report_check.h"

static int progress_calls;

static void count_progress(void *context, double done)
{
    CHECK(context == &progress_calls && done >= 0 && done <= 1);
    progress_calls++;
}

/* Open with caching. Sets *ret_replayed: whether a replay took place. */
static sqlite3 *open_kept(const char *path, int *ret_replayed)
{
    struct report_open_options options = {.progress = count_progress, .progress_context = &progress_calls};
    struct status_detail detail = {0};
    sqlite3 *database = NULL;
    progress_calls = 0;
    int status = report_database_open(path, &options, &database, &detail);
    if (status)
        fprintf(stderr, "%s: %s\n", path, detail.message);
    CHECK_EQUAL(status, 0);
    *ret_replayed = progress_calls > 0;
    check_report_rules(database);
    return database;
}

static void expect(const char *path, int replayed, int64_t allocated_bytes)
{
    int was_replayed;
    sqlite3 *database = open_kept(path, &was_replayed);
    CHECK_EQUAL(report_number(database, "SELECT allocated_bytes FROM summary"), allocated_bytes);
    CHECK_EQUAL(was_replayed, replayed);
    CHECK(sqlite3_exec(database, "DELETE FROM summary", NULL, NULL, NULL) != SQLITE_OK); /* nobody can change a report */
    sqlite3_close(database);
}

static const char *save(const char *name, uint64_t size_bytes)
{
    struct script script = {0};
    script_node(&script, 0);
    script_property(&script, "command", name);
    script_allocate(&script, size_bytes, 1, 0);
    const char *path = script_save(&script, name, TRACE_END_EXIT);
    script_done(&script);
    return path;
}

static void overwrite(const char *path, off_t offset, const char *text, size_t count)
{
    int file = open(path, O_WRONLY);
    CHECK(file >= 0);
    CHECK_EQUAL(pwrite(file, text, count, offset), count);
    close(file);
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static int file_count(const char *folder)
{
    char command[4200], answer[32] = "";
    snprintf(command, sizeof command, "ls -A '%s' 2>/dev/null | wc -l", folder);
    FILE *pipe = popen(command, "r");
    CHECK(pipe && fgets(answer, sizeof answer, pipe));
    pclose(pipe);
    return atoi(answer);
}

static void kept_beside_the_trace(void)
{
    const char *path = save("kept", 100);
    expect(path, 1, 100);
    CHECK(exists(test_path("kept.report")));
    expect(path, 0, 100);
    struct stat trace, report;
    CHECK(!stat(path, &trace) && !stat(test_path("kept.report"), &report));
    CHECK_EQUAL(report.st_mode & 0777, trace.st_mode & 0644);
    CHECK(!exists(test_path("cache")));
    save("kept", 333); /* another trace of the same size at the same place */
    expect(path, 1, 333);
    expect(path, 0, 333);
    CHECK_EQUAL(file_count(test_folder()), 2);
}

static void rebuilt_on_request(void)
{
    struct report_open_options options = {.progress = count_progress, .progress_context = &progress_calls, .rebuild = 1};
    sqlite3 *database;
    progress_calls = 0;
    CHECK_EQUAL(report_database_open(test_path("kept"), &options, &database, NULL), 0);
    sqlite3_close(database);
    CHECK(progress_calls > 0);
    expect(test_path("kept"), 0, 333);
}

static void damaged_report(void)
{
    const char *path = test_path("kept"), *report = test_path("kept.report");
    struct stat status;
    char zeros[512] = {0};
    CHECK(!stat(report, &status));
    CHECK_EQUAL(truncate(report, status.st_size / 2), 0);
    expect(path, 1, 333);
    CHECK_EQUAL(truncate(report, 0), 0);
    expect(path, 1, 333);
    overwrite(report, 4096, zeros, sizeof zeros);
    expect(path, 1, 333);
    CHECK_EQUAL(truncate(report, 100), 0);
    expect(path, 1, 333);
    expect(path, 0, 333);
}

/* Somebody's own file of that name is left alone; the report goes to the user's cache. */
static void foreign_file(void)
{
    const char *path = save("foreign", 50);
    FILE *file = fopen(test_path("foreign.report"), "w");
    CHECK(file && fputs("my notes, longer than the header of a database: do not touch them, they are the only copy that I have", file) >= 0);
    fclose(file);
    expect(path, 1, 50);
    expect(path, 0, 50);
    char notes[9] = "";
    file = fopen(test_path("foreign.report"), "r");
    CHECK(file && fread(notes, 1, 8, file) == 8);
    fclose(file);
    CHECK_STRING(notes, "my notes");
    CHECK_EQUAL(file_count(test_path("cache/heapline")), 1);
}

/* Where nothing can be kept at all, the report is made anew each time. */
static void nowhere_to_keep(void)
{
    const char *path = save("nowhere", 60);
    CHECK_EQUAL(mkdir(test_path("nowhere.report"), 0700), 0);
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    expect(path, 1, 60);
    expect(path, 1, 60);
    setenv("XDG_CACHE_HOME", test_path("cache"), 1);
}

/* The collector holds a lock as long as it writes: what is there so far is reported, and not kept. */
static void still_being_written(void)
{
    const char *path = save("growing", 70);
    int file = open(path, O_RDONLY);
    CHECK(file >= 0 && !flock(file, LOCK_EX));
    expect(path, 1, 70);
    CHECK(!exists(test_path("growing.report")));
    close(file);
    expect(path, 1, 70);
    expect(path, 0, 70);
}

static void two_at_once(void)
{
    const char *path = save("race", 80);
    for (int i = 0; i < 4; i++)
        if (!fork()) {
            int replayed;
            sqlite3_close(open_kept(path, &replayed));
            _exit(0);
        }
    for (int i = 0; i < 4; i++) {
        int status;
        CHECK(wait(&status) > 0);
        CHECK_EQUAL(status, 0);
    }
    expect(path, 0, 80);
}

/* ---- incomplete traces ---- */

static void endings(void)
{
    static const struct {
        int reason, complete;
        const char *kind;
    } endings[] = {
        {-1, 0, "unknown"}, {TRACE_END_UNKNOWN, 0, "unknown"}, {TRACE_END_EXIT, 1, "exit"}, {TRACE_END_SIGNAL, 0, "signal"},
        {TRACE_END_EXEC, 1, "exec"}, {TRACE_END_STOPPED, 1, "stopped"},
    };
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        struct script script = {0};
        script_allocate(&script, 10, 0, 0);
        sqlite3 *database = report_open(script_save(&script, "ending", endings[i].reason));
        CHECK_EQUAL(report_number(database, "SELECT complete FROM summary"), endings[i].complete);
        CHECK_STRING(report_text(database, "SELECT exit_kind FROM summary"), endings[i].kind);
        CHECK_STRING(report_text(database, "SELECT damage FROM summary"), "NULL");
        CHECK_EQUAL(report_number(database, "SELECT live_bytes_at_end FROM summary"), 10);
        CHECK_EQUAL(report_number(database, "SELECT exit_status FROM summary"), endings[i].reason < 0 ? -999 : 3);
        sqlite3_close(database);
        script_done(&script);
    }
}

/* Ten blocks of 100 allocations; the largest is the last of each. */
static const char *save_blocks(void)
{
    struct script script = {0};
    script_node(&script, 0);
    for (uint64_t block = 1; block <= 10; block++) {
        for (uint64_t i = 1; i <= 100; i++)
            script_free(&script, script_allocate(&script, 1000 * block + i, 1, 0), 0);
        script_time(&script, 1000 * block);
        script_flush(&script);
    }
    const char *path = script_save(&script, "blocks", TRACE_END_EXIT);
    script_done(&script);
    return path;
}

static void cut_traces(void)
{
    const char *path = save_blocks();
    struct stat status;
    CHECK(!stat(path, &status));
    int64_t last_events = 2000;
    for (off_t size = status.st_size - 1; size > 0; size -= 11) {
        CHECK_EQUAL(truncate(path, size), 0);
        struct report_open_options options = {.no_cache = 1};
        struct status_detail detail = {0};
        sqlite3 *database;
        if (report_database_open(path, &options, &database, &detail)) {
            CHECK(size < 200 && *detail.message);
            continue;
        }
        check_report_rules(database);
        int64_t events = report_number(database, "SELECT event_count FROM summary");
        CHECK(events <= last_events && events % 200 == 0);
        CHECK_EQUAL(report_number(database, "SELECT peak_bytes FROM summary"), events ? 1000 * events / 200 + 100 : 0);
        CHECK_EQUAL(report_number(database, "SELECT peak_event FROM summary"), events ? events - 1 : 0);
        CHECK_EQUAL(report_number(database, "SELECT complete FROM summary"), 0);
        last_events = events;
        sqlite3_close(database);
    }
    CHECK_EQUAL(last_events, 0);
}

/* Any byte may be wrong: an error, or a shorter report that adds up. Never a report of something else. */
static void flipped_bits(void)
{
    const char *path = save_blocks();
    struct stat status;
    int damaged = 0;
    CHECK(!stat(path, &status));
    for (off_t offset = 3; offset < status.st_size; offset += 37) {
        struct report_open_options options = {.no_cache = 1};
        struct status_detail detail = {0};
        sqlite3 *database;
        char byte, flipped;
        int file = open(path, O_RDWR);
        CHECK(file >= 0 && pread(file, &byte, 1, offset) == 1);
        flipped = (char)(byte ^ (1 << offset % 8));
        CHECK_EQUAL(pwrite(file, &flipped, 1, offset), 1);
        if (report_database_open(path, &options, &database, &detail)) {
            CHECK(*detail.message);
        } else {
            check_report_rules(database);
            int64_t events = report_number(database, "SELECT event_count FROM summary");
            CHECK_EQUAL(report_number(database, "SELECT peak_bytes FROM summary"), events ? 1000 * events / 200 + 100 : 0);
            CHECK_EQUAL(report_number(database, "SELECT complete FROM summary"), 0);
            damaged += strstr(report_text(database, "SELECT damage FROM summary"), "at byte") != NULL;
            sqlite3_close(database);
        }
        CHECK_EQUAL(pwrite(file, &byte, 1, offset), 1);
        close(file);
    }
    CHECK(damaged > 20);
}

static void no_trace(void)
{
    struct status_detail detail = {0};
    sqlite3 *database;
    CHECK_EQUAL(report_database_open(test_path("missing"), NULL, &database, &detail), STATUS_SYSTEM);
    FILE *file = fopen(test_path("text"), "w");
    CHECK(file && fputs("This is not a trace at all, though it is long enough to have been one, had it begun otherwise.", file) >= 0);
    fclose(file);
    CHECK_EQUAL(report_database_open(test_path("text"), NULL, &database, &detail), STATUS_NOT_A_TRACE);
    CHECK(!exists(test_path("text.report")));
    CHECK(report_database_open(test_folder(), NULL, &database, &detail) < 0);
}

/* ---- processes ---- */

static void save_process(const char *name, uint64_t session_id, uint32_t pid, uint32_t parent_pid, uint64_t start_ns,
                         const char *command, int reason)
{
    struct trace_identity identity = {.session_id = session_id, .start_realtime_ns = start_ns, .pid = pid, .parent_pid = parent_pid};
    struct trace_end end = {.reason = (uint32_t)reason, .status = 9};
    struct trace_writer *writer;
    int file = open(test_path(name), O_CREAT | O_TRUNC | O_RDWR, 0644);
    CHECK(file >= 0 && !trace_writer_open(file, &identity, &writer));
    trace_writer_define(writer, &(struct trace_definition){
        .kind = TRACE_DEFINE_PROPERTY,
        .property = {.key = "command", .value = command, .key_bytes = 7, .value_bytes = (uint32_t)strlen(command)}});
    trace_writer_allocate(writer, pid, 0, 0);
    trace_writer_close(writer, reason < 0 ? NULL : &end);
    close(file);
}

static void processes(void)
{
    static const char *const expected[] = {"run.heapline.12", "run.heapline", "run.heapline.11", "run.heapline.12.2"};
    struct report_process *found;
    uint32_t count;
    save_process("run.heapline", 77, 10, 1, 1000, "make all", TRACE_END_EXIT);
    save_process("run.heapline.11", 77, 11, 10, 2000, "cc", TRACE_END_EXEC);
    save_process("run.heapline.12", 77, 12, 10, 3000, "cc a.c", TRACE_END_SIGNAL);
    save_process("run.heapline.12.2", 77, 12, 10, 4000, "as", -1);
    save_process("run.heapline.13", 78, 13, 10, 2500, "another run", TRACE_END_EXIT);
    save_process("run.heaplines", 77, 14, 10, 2500, "another name", TRACE_END_EXIT);
    save_process(".16", 77, 16, 10, 2500, "only a number", TRACE_END_EXIT);
    save_process("run.heapline.x", 77, 15, 10, 2500, "no number", TRACE_END_EXIT);
    CHECK_EQUAL(mkdir(test_path("run.heapline.16"), 0700), 0);
    CHECK_EQUAL(report_processes_find(test_path("run.heapline.12"), &found, &count, NULL), 0);
    CHECK_EQUAL(count, 4);
    for (uint32_t i = 0; i < count; i++)
        CHECK_STRING(strrchr(found[i].trace_path, '/') + 1, expected[i]);
    CHECK_STRING(found[0].command, "cc a.c");
    CHECK_EQUAL(found[0].exit_kind, TRACE_END_SIGNAL);
    CHECK_EQUAL(found[0].exit_status, 9);
    CHECK_EQUAL(found[0].complete, 0);
    CHECK_EQUAL(found[0].parent_pid, 10);
    CHECK_EQUAL(found[1].complete, 1);
    CHECK_EQUAL(found[1].peak_bytes, 10);
    CHECK_EQUAL(found[1].has_totals, 1);
    CHECK_EQUAL(found[1].allocated_bytes, 10);
    CHECK_EQUAL(found[1].allocations, 1);
    CHECK_EQUAL(found[1].live_bytes, 10);
    CHECK_EQUAL(found[3].has_totals, 0);
    CHECK_EQUAL(found[1].start_realtime_ns, 1000);
    CHECK_EQUAL(found[2].complete, 1);
    CHECK_EQUAL(found[2].exit_kind, TRACE_END_EXEC);
    CHECK_EQUAL(found[3].complete, 0);
    CHECK_EQUAL(found[3].exit_kind, TRACE_END_UNKNOWN);
    report_processes_free(found, count);
    CHECK_EQUAL(chdir(test_folder()), 0);
    CHECK_EQUAL(report_processes_find("run.heapline", &found, &count, NULL), 0);
    CHECK_EQUAL(count, 4);
    CHECK_STRING(found[0].trace_path, "run.heapline");
    CHECK_STRING(found[1].trace_path, "run.heapline.11");
    report_processes_free(found, count);
    CHECK_EQUAL(report_processes_find("missing", &found, &count, NULL), STATUS_SYSTEM);
}

int main(void)
{
    test_folder();
    kept_beside_the_trace();
    rebuilt_on_request();
    damaged_report();
    foreign_file();
    nowhere_to_keep();
    still_being_written();
    two_at_once();
    endings();
    cut_traces();
    flipped_bits();
    no_trace();
    processes();
    test_folder_remove();
    return 0;
}
