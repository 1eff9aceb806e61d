/* heapline snapshot: a trace of all that was recorded until now, of a process that runs on, and what is live in it by line. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector_client.h"
#include "line_rows.h"
#include "paths.h"
#include "summary.h"
#include "units.h"

#define LINES_SHOWN 15
#define MAX_NUMBER 10000
/* Gigabytes may have to be copied. */
#define PATIENCE_S 600

struct snapshot_settings {
    struct reading reading;
    const char *output;
    int force, quiet;
};

static const struct option_spec snapshot_options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(struct snapshot_settings, output), 0, "PATH",
     "write the snapshot to PATH (default: NAME.snapshot-1.heapline in the current directory, or the next number that is free)"},
    {"force", 'f', OPTION_SET, offsetof(struct snapshot_settings, force), 1, NULL, "overwrite PATH"},
    {"quiet", 'q', OPTION_SET, offsetof(struct snapshot_settings, quiet), 1, NULL, "write it, and say only where"},
    {0},
};

/* ---- the file ---- */

struct snapshot_file {
    char path[PATH_MAX];
    char temporary_path[PATH_MAX + 8];
    int file;
};

/* Half a snapshot is none: it is written under another name beside its own. */
static void create(const struct snapshot_settings *settings, struct snapshot_file *snapshot)
{
    if (!settings->force && access(snapshot->path, F_OK) == 0)
        fail(CLI_SYSTEM, "snapshot: '%s' exists (--force overwrites it)", snapshot->path);
    snprintf(snapshot->temporary_path, sizeof snapshot->temporary_path, "%s.XXXXXX", snapshot->path);
    snapshot->file = mkostemp(snapshot->temporary_path, O_CLOEXEC);
    if (snapshot->file < 0)
        fail(CLI_SYSTEM, "snapshot: cannot write '%s': %s", snapshot->path, strerror(errno));
    mode_t mask = umask(0);
    umask(mask);
    fchmod(snapshot->file, 0666 & ~mask);
}

/* 'server.heapline' gives 'server.snapshot-1.heapline'. */
static void choose_path(const char *trace_path, struct snapshot_file *snapshot)
{
    static const char suffix[] = ".heapline";
    const char *base = paths_base(trace_path), *end = strstr(base, suffix);
    int stem = end ? (int)(end - base) : (int)strlen(base);
    for (int number = 1; number < MAX_NUMBER; number++) {
        snprintf(snapshot->path, sizeof snapshot->path, "%.*s.snapshot-%d%s", stem, base, number, end ? end : suffix);
        if (access(snapshot->path, F_OK) != 0)
            return;
    }
    fail(CLI_SYSTEM, "snapshot: there are too many snapshots of '%s' in this folder", base);
}

/* Nobody else's file is overwritten, also not one that has come up meanwhile. */
static void finish(const struct snapshot_settings *settings, struct snapshot_file *snapshot)
{
    close(snapshot->file);
    int error = settings->force ? rename(snapshot->temporary_path, snapshot->path) : link(snapshot->temporary_path, snapshot->path);
    int link_error = errno;
    /* Some file systems have no links. */
    if (error && !settings->force && link_error != EEXIST)
        error = renameat2(AT_FDCWD, snapshot->temporary_path, AT_FDCWD, snapshot->path, RENAME_NOREPLACE);
    else if (!settings->force)
        unlink(snapshot->temporary_path);
    if (!error)
        return;
    int reason = errno;
    unlink(snapshot->temporary_path);
    fail(CLI_SYSTEM, "snapshot: cannot write '%s': %s", snapshot->path, strerror(reason));
}

static void take(const struct snapshot_settings *settings, pid_t pid, struct snapshot_file *snapshot, struct control_answer *answer)
{
    if (settings->output) {
        snprintf(snapshot->path, sizeof snapshot->path, "%s", settings->output);
    } else {
        collector_ask("snapshot", pid, &(struct collector_question){.verb = CONTROL_STATUS}, answer);
        choose_path(answer->trace_path, snapshot);
    }
    create(settings, snapshot);
    struct collector_question question = {.verb = CONTROL_SNAPSHOT, .file = &snapshot->file, .patience_s = PATIENCE_S};
    enum collector_reply reply = collector_try(pid, &question, answer);
    if (reply != COLLECTOR_ANSWERED || answer->result != CONTROL_DONE) {
        unlink(snapshot->temporary_path);
        collector_fail("snapshot", pid, reply, answer);
    }
    finish(settings, snapshot);
}

/* ---- what it says ---- */

static void print_levels(const struct reading *reading, const struct summary *summary)
{
    const struct terminal *terminal = &reading->terminal;
    struct estimate_interval interval;
    terminal_print(terminal, STYLE_BOLD, "heap %s now", units_bytes(summary->live_bytes_at_end).text);
    fprintf(terminal->out, " in %s", units_noun(summary->live_allocations_at_end, "block").text);
    if (summary_count_interval(summary, LIVE_ALLOCATIONS, &interval) && interval.low != interval.high)
        fprintf(terminal->out, " (95 %%: %s)", estimate_count_text(interval).text);
    fprintf(terminal->out, ", %s at its peak, ", units_bytes(summary->peak_bytes).text);
    fprintf(terminal->out, "%s before", units_time(summary->duration_ns - summary->peak_time_ns).text);
    if (summary->peak_rss_bytes > 0)
        fprintf(terminal->out, "; RSS %s at most", units_bytes(summary->peak_rss_bytes).text);
    fputc('\n', terminal->out);
}

static const char *const next_commands[] = {
    "report %s", "the whole answer, leaks among it",
    "peak %s", "what was live at the peak, with stacks",
};

static void print_snapshot(struct reading *reading, const struct line_query *query)
{
    static const enum measure shown[] = {LIVE_BYTES, LIVE_ALLOCATIONS, PEAK_BYTES, ALLOCATED_BYTES, ALLOCATIONS, MEASURE_NONE};
    struct summary summary;
    struct line_rows rows;
    sqlite3 *database = reading_open(reading);
    line_rows_load(database, query, &rows);
    summary_load(database, &summary);
    summary_print_title(reading, &summary);
    summary_print_warnings(reading, &summary);
    print_levels(reading, &summary);
    terminal_heading(&reading->terminal, "Live now, by line", NULL);
    line_rows_table(reading, database, &rows, shown, LINE_TABLE_CALLERS | LINE_TABLE_TOTAL | LINE_TABLE_SHARE);
    line_rows_free(&rows);
    summary_free(&summary);
    reading_next(reading, next_commands, 2);
    reading_close(reading, database);
}

static void write_snapshot(struct reading *reading, const struct line_query *query, pid_t pid, const struct control_answer *answer)
{
    struct json json;
    struct summary summary;
    struct line_rows rows;
    sqlite3 *database = reading_open(reading);
    line_rows_load(database, query, &rows);
    summary_load(database, &summary);
    json_begin(&json, stdout, "snapshot");
    json_integer(&json, "pid", pid);
    json_text(&json, "path", reading->trace);
    json_text(&json, "trace", answer->trace_path);
    json_integer(&json, "file_bytes", (int64_t)answer->trace_bytes);
    json_integer(&json, "duration_ns", summary.duration_ns);
    json_integer(&json, "live_bytes", summary.live_bytes_at_end);
    json_integer(&json, "live_allocations", summary.live_allocations_at_end);
    json_integer(&json, "peak_bytes", summary.peak_bytes);
    json_integer(&json, "peak_time_ns", summary.peak_time_ns);
    json_integer(&json, "peak_rss_bytes", summary.peak_rss_bytes);
    json_integer(&json, "lost_events", summary.lost_events);
    json_integer(&json, "sampling_interval_bytes", summary.sampling_interval_bytes);
    if (summary.sampling_interval_bytes) {
        json_object(&json, ESTIMATE_KEY);
        summary_count_json(&json, &summary, LIVE_ALLOCATIONS, "live_allocations");
        estimate_json(&json, "peak_bytes", summary_peak_interval(&summary));
        json_object_end(&json);
    }
    line_rows_json(&rows, &json, "lines");
    line_rows_free(&rows);
    summary_free(&summary);
    reading_close(reading, database);
    reading_json_end(&json);
}

static int run_snapshot(int argc, char **argv)
{
    struct snapshot_settings settings = {.reading = READING_INIT};
    struct reading *reading = &settings.reading;
    struct snapshot_file snapshot;
    struct control_answer answer;
    reading->command = &snapshot_command;
    pid_t pid = collector_parse_pid(&snapshot_command, &settings, argc, argv);
    struct line_query query = {
        .order = line_order(reading, LIVE_BYTES),
        .about = LIVE_BYTES,
        .fold_imports = !reading->json && !reading->all_frames,
        .limit = reading_limit(reading, LINES_SHOWN),
    };
    take(&settings, pid, &snapshot, &answer);
    reading->trace = snapshot.path;
    terminal_init(&reading->terminal, stdout, (enum color_choice)reading->color);
    if (settings.quiet && !reading->json)
        printf("%s\n", snapshot.path);
    else if (reading->json)
        write_snapshot(reading, &query, pid, &answer);
    else
        print_snapshot(reading, &query);
    return CLI_DONE;
}

const struct command snapshot_command = {
    .name = "snapshot",
    .question = "what is live in a running program now; a trace of all until now",
    .usage = "[OPTIONS] PID",
    .description = "Writes a trace of all that was recorded of a running process until now, and shows what is live in it by line. The process goes "
                   "on and is not stopped, not even for a moment: its collector makes the copy. The snapshot is a trace like any other, for every "
                   "command that reads one; two of them show with 'heapline diff' what has grown between.\n"
                   "The process must have been started by 'heapline run', or preloaded.",
    .examples = "heapline snapshot 4711\n"
                "heapline snapshot 4711 -o before.heapline --quiet\n"
                "heapline leaks before.heapline",
    .statuses = COLLECTOR_STATUSES,
    .options = {snapshot_options, row_options, fold_options, reading_options},
    .run = run_snapshot,
};
