/* Opens the report of a trace: a kept one where it fits, else a new one from a replay (report_database.h). */
#include "report_database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "inlined_stacks.h"
#include "report_cache.h"
#include "store.h"
#include "temporary_file.h"

#define PROGRESS_INTERVAL_NS 100000000ull
/* Shares of the whole work, as seen on traces of programs with some 100,000 stacks. */
#define REPLAY_SHARE 0.8
#define FRAMES_SHARE 0.1

struct progress {
    report_progress *report;
    void *context;
    double start, share;
    uint64_t last_ns;
};

struct report_parts {
    struct replay *replay;
    struct frame_table frames;
    struct line_report lines;
};

static void progress_pass(void *context, double done)
{
    struct progress *progress = context;
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    if (!progress->report || now_ns - progress->last_ns < PROGRESS_INTERVAL_NS)
        return;
    progress->last_ns = now_ns;
    progress->report(progress->context, progress->start + progress->share * done);
}

static int fail(struct status_detail *detail, int status, const char *what, const char *why)
{
    detail->status = status;
    snprintf(detail->message, sizeof detail->message, "%s%s%s", what, why ? ": " : "", why ? why : "");
    return status;
}

static void parts_done(struct report_parts *parts)
{
    line_report_done(&parts->lines);
    frame_table_done(&parts->frames);
    replay_free(parts->replay);
}

static int parts_build(struct report_parts *parts, const char *trace_path, const struct symbol_sources *sources, struct progress *progress,
                       struct status_detail *detail)
{
    *parts = (struct report_parts){0};
    progress->share = REPLAY_SHARE;
    int status = replay_run(trace_path, progress_pass, progress, &parts->replay, detail);
    if (status)
        return status;
    progress->start = REPLAY_SHARE;
    progress->share = FRAMES_SHARE;
    status = frame_table_build(&parts->frames, &parts->replay->definitions, parts->replay->overview.identity.copy_threshold_bytes,
                               sources, progress_pass, progress);
    if (!status)
        status = inlined_stacks_add(parts->replay, &parts->frames);
    if (!status)
        status = line_report_build(&parts->lines, parts->replay, &parts->frames);
    if (!status)
        return STATUS_OK;
    parts_done(parts);
    return fail(detail, status, "not enough memory to report the trace", NULL);
}

static int write_report(const char *path, const struct report_parts *parts, const char *key, struct status_detail *detail)
{
    struct store_input input = {parts->replay, &parts->frames, &parts->lines, key};
    return store_write(path, &input, detail);
}

/* Write the report to one of the places, and open it there. */
static int keep_report(const char *trace_path, int place, const struct report_parts *parts, const char *key,
                       sqlite3 **ret_database, struct status_detail *detail)
{
    char report_path[PATH_MAX], temporary_path[PATH_MAX];
    if (report_cache_path(trace_path, place, report_path) || report_cache_create(trace_path, report_path, temporary_path))
        return STATUS_SYSTEM;
    int status = write_report(temporary_path, parts, key, detail);
    if (!status && rename(temporary_path, report_path))
        status = STATUS_SYSTEM;
    if (status)
        unlink(temporary_path);
    return status ? status : report_cache_open(report_path, key, ret_database);
}

/* In a file that is gone as soon as it is closed. */
static int temporary_report(const struct report_parts *parts, sqlite3 **ret_database, struct status_detail *detail)
{
    char *path;
    sqlite3 *database = NULL;
    int file = temporary_file("report", &path);
    if (file < 0)
        return fail(detail, STATUS_SYSTEM, "cannot write a temporary file for the report", NULL);
    close(file);
    int status = write_report(path, parts, NULL, detail);
    if (!status && sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        status = fail(detail, STATUS_DATABASE, "cannot open the temporary report", sqlite3_errmsg(database));
    /* SQLite opens the file when it first needs it. */
    if (!status && sqlite3_exec(database, "SELECT 1 FROM summary", NULL, NULL, NULL) != SQLITE_OK)
        status = fail(detail, STATUS_DATABASE, "cannot read the temporary report", sqlite3_errmsg(database));
    unlink(path);
    free(path);
    if (status)
        sqlite3_close(database);
    else
        *ret_database = database;
    return status;
}

static int open_kept(const char *trace_path, const char *key, sqlite3 **ret_database)
{
    char report_path[PATH_MAX];
    for (int place = 0; place < REPORT_CACHE_PLACES; place++)
        if (!report_cache_path(trace_path, place, report_path) && !report_cache_open(report_path, key, ret_database))
            return STATUS_OK;
    return STATUS_DATABASE;
}

static int same_trace_still(const char *trace_path, const struct symbol_sources *symbols, const struct report_key *key)
{
    struct report_key now;
    return !report_key_read(trace_path, symbols, &now) && !strcmp(now.text, key->text);
}

int report_database_open(const char *trace_path, const struct report_open_options *options, sqlite3 **ret_database,
                         struct status_detail *detail)
{
    static const struct report_open_options defaults;
    struct status_detail ignored;
    struct report_key key;
    struct report_parts parts;
    if (!detail)
        detail = &ignored;
    if (!options)
        options = &defaults;
    int keep = !options->no_cache && !report_key_read(trace_path, &options->symbols, &key) && !key.being_written;
    if (keep && !options->rebuild && !open_kept(trace_path, key.text, ret_database))
        return STATUS_OK;
    struct progress progress = {options->progress, options->progress_context, 0, 1, 0};
    int status = parts_build(&parts, trace_path, &options->symbols, &progress, detail);
    if (status)
        return status;
    keep = keep && same_trace_still(trace_path, &options->symbols, &key);
    status = STATUS_SYSTEM;
    for (int place = 0; keep && status && place < REPORT_CACHE_PLACES; place++)
        status = keep_report(trace_path, place, &parts, key.text, ret_database, detail);
    if (status)
        status = temporary_report(&parts, ret_database, detail);
    parts_done(&parts);
    if (!status && options->progress)
        options->progress(options->progress_context, 1.0);
    return status;
}
