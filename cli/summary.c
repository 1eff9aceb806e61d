/* Totals and title lines: see summary.h. */
#include "summary.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "collector_client.h"
#include "memory.h"
#include "text.h"
#include "units.h"

static int property_is(sqlite3 *database, const char *key, const char *value)
{
    char *found = query_property(database, key);
    int is = found && !strcmp(found, value);
    free(found);
    return is;
}

/* Paths, a line each; NULL: none. */
static char *changed_modules(sqlite3 *database)
{
    sqlite3_stmt *row = query_prepare(database, "SELECT group_concat(path, char(10)) FROM (SELECT DISTINCT path FROM module "
                                                "WHERE symbols = 'changed' ORDER BY path)");
    char *paths = NULL;
    if (query_step(row)) {
        paths = query_text_copy(row, 0);
        sqlite3_finalize(row);
    }
    return paths;
}

static int64_t property_number(sqlite3 *database, const char *key)
{
    char *value = query_property(database, key);
    int64_t number = value ? strtoll(value, NULL, 10) : 0;
    free(value);
    return number;
}

void summary_load(sqlite3 *database, struct summary *ret_summary)
{
    sqlite3_stmt *row = query_prepare(
        database, "SELECT command, executable, exit_kind, damage, pid, parent_pid, exit_status, start_realtime_ns, duration_ns, complete, "
                  "peak_bytes, peak_time_ns, peak_rss_bytes, event_count, allocated_bytes, allocations, live_bytes_at_end, "
                  "live_allocations_at_end, temporary_allocations, copied_bytes, copies, lost_events, unknown_frees, "
                  "sampling_interval_bytes, copy_threshold_bytes, coalesce(stream_end_ns, -1), allocated_bytes_error, "
                  "peak_bytes_error, peak_allocations FROM summary");
    if (!query_step(row))
        fail(CLI_INPUT, "the report database is empty (--rebuild makes a new one)");
    struct summary summary = {
        .command = query_text_copy(row, 0),
        .executable = query_text_copy(row, 1),
        .exit_kind = query_text_copy(row, 2),
        .damage = query_text_copy(row, 3),
    };
    int64_t *const fields[] = {
        &summary.pid, &summary.parent_pid, &summary.exit_status, &summary.start_realtime_ns, &summary.duration_ns, &summary.complete,
        &summary.peak_bytes, &summary.peak_time_ns, &summary.peak_rss_bytes, &summary.event_count, &summary.allocated_bytes,
        &summary.allocations, &summary.live_bytes_at_end, &summary.live_allocations_at_end, &summary.temporary_allocations,
        &summary.copied_bytes, &summary.copies, &summary.lost_events, &summary.unknown_frees, &summary.sampling_interval_bytes,
        &summary.copy_threshold_bytes, &summary.stream_end_ns, &summary.allocated_bytes_error, &summary.peak_bytes_error,
        &summary.peak_allocations,
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        *fields[i] = sqlite3_column_int64(row, 4 + (int)i);
    sqlite3_finalize(row);
    summary.stopped = query_property(database, "stopped");
    summary.recorded = query_property(database, "recorded");
    summary.sampling_changes = query_property(database, "sampling_changes");
    summary.is_endless = property_is(database, "endless", "yes");
    summary.unrecorded = query_property(database, "unrecorded");
    summary.unrecorded_children = property_number(database, "unrecorded_children");
    summary.cut = query_property(database, "cut");
    summary.events_from_ns = property_number(database, "events_from_ns");
    summary.knows_count_errors = count_errors_known(database);
    if (summary.knows_count_errors)
        summary.count_error = count_error_total(database);
    summary.unsafe_stacks = property_number(database, "unsafe_stacks");
    summary.lost_definitions = property_number(database, "lost_definitions");
    summary.native_checks = property_number(database, "native_checks");
    summary.native_differences = property_number(database, "native_differences");
    summary.other_malloc = property_is(database, "malloc", "of another library");
    summary.changed_modules = changed_modules(database);
    summary.python_stacks_off = property_is(database, "python_stacks", "off");
    *ret_summary = summary;
}

void summary_free(struct summary *summary)
{
    free(summary->command);
    free(summary->executable);
    free(summary->exit_kind);
    free(summary->damage);
    free(summary->stopped);
    free(summary->recorded);
    free(summary->sampling_changes);
    free(summary->unrecorded);
    free(summary->cut);
    free(summary->changed_modules);
}

int summary_is_growing(const struct reading *reading, const struct summary *summary)
{
    return summary->is_endless && !summary->damage && collector_writes((pid_t)summary->pid, reading->trace);
}

void summary_ending(const char *exit_kind, int64_t exit_status, char *out, size_t size)
{
    const char *name = NULL;
    if (exit_kind && !strcmp(exit_kind, "signal"))
        name = sigabbrev_np((int)exit_status);
    if (!exit_kind || !strcmp(exit_kind, "unknown"))
        snprintf(out, size, "killed or still running");
    else if (!strcmp(exit_kind, "exit"))
        snprintf(out, size, "exit %lld", (long long)exit_status);
    else if (!strcmp(exit_kind, "signal") && name)
        snprintf(out, size, "SIG%s", name);
    else if (!strcmp(exit_kind, "signal"))
        snprintf(out, size, "signal %lld", (long long)exit_status);
    else if (!strcmp(exit_kind, "snapshot"))
        snprintf(out, size, "snapshot of a running process");
    else if (!strcmp(exit_kind, "exec"))
        snprintf(out, size, "went on by exec");
    else
        snprintf(out, size, "%s", exit_kind);
}

const char *summary_command(const struct summary *summary)
{
    const char *command = summary->command ? summary->command : summary->executable ? summary->executable : "(unknown program)";
    const char *base = command;
    for (const char *at = command; *at && *at != ' '; at++)
        if (*at == '/' && at[1] && at[1] != ' ')
            base = at + 1;
    return base;
}

void summary_print_title(const struct reading *reading, const struct summary *summary)
{
    const struct terminal *terminal = &reading->terminal;
    char ending[64];
    char *command = text_clean(summary_command(summary), terminal->unicode);
    text_clip(command, terminal->width, TEXT_CLIP_END, terminal_ellipsis(terminal));
    terminal_print(terminal, STYLE_BOLD, "%s\n", command);
    summary_ending(summary->exit_kind, summary->exit_status, ending, sizeof ending);
    if (summary->cut || summary->unrecorded)
        snprintf(ending, sizeof ending, "%s", summary->cut ? "end not known" : "not recorded");
    else if (summary_is_growing(reading, summary))
        snprintf(ending, sizeof ending, "still running");
    const char *dot = terminal_dot(terminal);
    terminal_print(terminal, STYLE_DIM, "pid %lld %s %s %s %s %s %s events\n", (long long)summary->pid, dot, ending, dot,
                   units_time(summary->duration_ns).text, dot, units_count(summary->event_count).text);
    free(command);
}

void summary_print_warning(const struct reading *reading, const char *text)
{
    const struct terminal *terminal = &reading->terminal;
    fprintf(terminal->out, "%s! ", terminal_style(terminal, STYLE_WARNING));
    terminal_wrap(terminal->out, text, terminal->width, 2);
    fprintf(terminal->out, "%s\n", terminal_style(terminal, STYLE_PLAIN));
}

/* No block's part in the variance is larger than the square of the interval. */
static struct estimate_interval interval_of(const struct summary *summary, int64_t bytes, int64_t error)
{
    return estimate_of_sum((double)bytes, (double)error * (double)error, (double)summary->sampling_interval_bytes);
}

struct estimate_interval summary_peak_interval(const struct summary *summary)
{
    return interval_of(summary, summary->peak_bytes, summary->peak_bytes_error);
}

struct estimate_interval summary_allocated_interval(const struct summary *summary)
{
    return interval_of(summary, summary->allocated_bytes, summary->allocated_bytes_error);
}

int summary_count_interval(const struct summary *summary, enum measure measure, struct estimate_interval *ret_interval)
{
    int64_t count = measure == PEAK_ALLOCATIONS   ? summary->peak_allocations
                    : measure == LIVE_ALLOCATIONS ? summary->live_allocations_at_end
                    : measure == ALLOCATIONS      ? summary->allocations
                                                  : summary->copies;
    *ret_interval = count_interval_of(&summary->count_error, measure, count);
    return summary->knows_count_errors || !summary->sampling_interval_bytes;
}

void summary_count_json(struct json *json, const struct summary *summary, enum measure measure, const char *key)
{
    struct estimate_interval interval;
    if (summary_count_interval(summary, measure, &interval))
        estimate_json(json, key, interval);
}

int summary_next_span(const char **at, int64_t duration_ns, struct recorded_span *ret_span)
{
    char *end;
    if (!*at || **at < '0' || **at > '9')
        return 0;
    ret_span->start_ns = strtoll(*at, &end, 10);
    *at = *end == '-' ? end + 1 : end;
    ret_span->end_ns = strtoll(*at, &end, 10);
    if (end == *at)
        ret_span->end_ns = duration_ns;
    *at = end + (*end == ' ');
    return 1;
}

int summary_next_sampling(const char **at, struct sampling_span *ret_span)
{
    char *end;
    if (!*at || **at < '0' || **at > '9')
        return 0;
    ret_span->start_ns = strtoll(*at, &end, 10);
    *at = *end == ':' ? end + 1 : end;
    ret_span->interval_bytes = strtoll(*at, &end, 10);
    *at = end + (*end == ' ');
    return 1;
}

/* The highest level within each column's span of time; columns without a reading keep the level before. */
void summary_sparkline(const struct reading *reading, sqlite3 *database, const struct summary *summary, char *out, int columns)
{
    int64_t *highest = memory_new((size_t)columns, sizeof *highest), *last = memory_new((size_t)columns, sizeof *last);
    char *seen = memory_new((size_t)columns, 1);
    sqlite3_stmt *row = query_prepare(database, "SELECT time_ns, max(heap_bytes, heap_peak_bytes), heap_bytes FROM timeline ORDER BY time_ns");
    double span = summary->duration_ns > 0 ? (double)summary->duration_ns : 1;
    while (query_step(row)) {
        int column = (int)((double)sqlite3_column_int64(row, 0) / span * columns);
        column = column < 0 ? 0 : column >= columns ? columns - 1 : column;
        if (sqlite3_column_int64(row, 1) > highest[column])
            highest[column] = sqlite3_column_int64(row, 1);
        last[column] = sqlite3_column_int64(row, 2);
        seen[column] = 1;
    }
    int64_t level = 0;
    for (int column = 0; column < columns; column++) {
        int64_t shown = seen[column] ? highest[column] : level;
        if (seen[column])
            level = last[column];
        out = stpcpy(out, terminal_spark(&reading->terminal, summary->peak_bytes > 0 ? (double)shown / (double)summary->peak_bytes : 0));
    }
    free(highest);
    free(last);
    free(seen);
}
