/* Totals and title lines: see summary.h. */
#include "summary.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

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
                  "peak_bytes_error FROM summary");
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

static void describe_sampling(const struct summary *summary, char *text, size_t size)
{
    const char *at = summary->sampling_changes;
    struct sampling_span span;
    int used = snprintf(text, size, "figures are estimates, with their standard errors: ");
    for (int count = 0; used < (int)size - 200 && summary_next_sampling(&at, &span); count++) {
        used += snprintf(text + used, size - (size_t)used, "%s", count ? ", " : "");
        used += span.interval_bytes ? snprintf(text + used, size - (size_t)used, "one allocation in %s on average", units_bytes(span.interval_bytes).text)
                                    : snprintf(text + used, size - (size_t)used, "every allocation");
        used += snprintf(text + used, size - (size_t)used, " from %s on", units_time(span.start_ns).text);
    }
    snprintf(text + used, size - (size_t)used, "%s; which are temporary is known where every one was recorded", *at ? ", and more" : "");
}

/* What the spans are, and what figures mean by them. */
static void describe_spans(const struct summary *summary, char *text, size_t size)
{
    const char *at = summary->recorded;
    struct recorded_span span = {0, 0};
    int used = snprintf(text, size, "recorded only"), count = 0;
    while (used < (int)size - 200 && summary_next_span(&at, summary->duration_ns, &span))
        used += snprintf(text + used, size - (size_t)used, "%s from %s to %s", count++ ? "," : "", units_time(span.start_ns).text,
                         span.end_ns < summary->duration_ns ? units_time(span.end_ns).text : "the end");
    used += snprintf(text + used, size - (size_t)used, "%s: blocks allocated before %s are not known", *at ? ", and more" : "",
                     count > 1 ? "the last start" : "that");
    if (span.end_ns < summary->duration_ns)
        snprintf(text + used, size - (size_t)used, "; 'at the end' means the last stop");
}

/* Was anything recorded? */
static int print_recorded(const struct reading *reading, const struct summary *summary)
{
    char text[1024];
    const char *at = summary->recorded;
    struct recorded_span span;
    if (!at)
        return 1;
    if (!summary_next_span(&at, summary->duration_ns, &span)) {
        snprintf(text, sizeof text, "nothing was recorded: the program ran paused, and nobody said 'heapline start %lld'",
                 (long long)summary->pid);
        summary_print_warning(reading, text);
        return 0;
    }
    if (*at || span.start_ns > 0 || span.end_ns < summary->duration_ns) {
        describe_spans(summary, text, sizeof text);
        summary_print_warning(reading, text);
    }
    return 1;
}

static void print_changed_modules(const struct reading *reading, const char *paths)
{
    for (const char *path = paths; path && *path;) {
        char text[512], line[400];
        size_t length = strcspn(path, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, path);
        char *clean = text_clean(line, reading->terminal.unicode);
        snprintf(text, sizeof text, "%s is another build by now than the one that ran: its functions and lines are not shown", clean);
        summary_print_warning(reading, text);
        free(clean);
        path += length + (path[length] == '\n');
    }
}

void summary_print_warnings(const struct reading *reading, const struct summary *summary)
{
    char text[512];
    const char *right = summary->sampling_interval_bytes ? "estimates of the whole" : "exact";
    if (summary->damage) {
        char *clean = text_clean(summary->damage, reading->terminal.unicode);
        snprintf(text, sizeof text, "damaged trace (%s): this is what its good part says", clean);
        summary_print_warning(reading, text);
        free(clean);
    } else if (summary->unrecorded) {
        snprintf(text, sizeof text, "this program was not recorded: %s. It ran as it does without heapline", summary->unrecorded);
        summary_print_warning(reading, text);
        return;
    } else if (summary->cut) {
        snprintf(text, sizeof text, "the trace was cut (%.100s): what the program did after %s is not known, 'at the end' means then", summary->cut,
                 units_time(summary->duration_ns).text);
        summary_print_warning(reading, text);
    } else if (summary->is_endless) {
        summary_print_warning(reading, "the trace has no end: the program is still being recorded, or the collector was killed, or its disk was full. What "
                               "happened after the last event here is lost, and nobody counted it");
    } else if (!summary->complete && !summary->stopped) {
        char ending[64];
        summary_ending(summary->exit_kind, summary->exit_status, ending, sizeof ending);
        snprintf(text, sizeof text, "the program did not end by itself (%s): 'at the end' means its last event", ending);
        summary_print_warning(reading, text);
    }
    if (!print_recorded(reading, summary))
        return;
    if (summary->event_count == 0)
        summary_print_warning(reading, "no allocation was recorded: unless the program makes none, another allocator is linked into it statically, or "
                               "preloaded before this recorder");
    else if (summary->other_malloc)
        summary_print_warning(reading, "malloc is another library's, preloaded before this recorder or linked into the program: what it serves is not "
                               "recorded. Preload that library after heapline");
    if (summary->python_stacks_off)
        summary_print_warning(reading, "this Python's frames can't be read (free-threaded, or newer than this heapline): its lines are unknown");
    if (summary->stopped) {
        char *clean = text_clean(summary->stopped, reading->terminal.unicode);
        snprintf(text, sizeof text, "recording was stopped before the end: %s", clean);
        summary_print_warning(reading, text);
        free(clean);
    }
    if (summary->stream_end_ns == 0) {
        snprintf(text, sizeof text, "no event is listed one by one: from the beginning more was live than the trace's size bound has room for. Peak, "
                 "totals, copies and what was live at the end are %s, but what happened when is known only roughly", right);
        summary_print_warning(reading, text);
    } else if (summary->stream_end_ns > 0) {
        snprintf(text, sizeof text, "the trace reached its size bound at %s: peak, totals, copies and what was live at the end are %s, but what "
                 "happened when is known only roughly from there on", units_time(summary->stream_end_ns).text, right);
        summary_print_warning(reading, text);
    }
    if (summary->events_from_ns) {
        snprintf(text, sizeof text, "old parts of the trace have made room: peak, totals, copies and what was live at the end are %s, but what "
                 "happened when is known only roughly before %s", right, units_time(summary->events_from_ns).text);
        summary_print_warning(reading, text);
    }
    if (summary->unsafe_stacks) {
        snprintf(text, sizeof text, "%s could not be read and are cut or empty", units_noun(summary->unsafe_stacks, "stack").text);
        summary_print_warning(reading, text);
    }
    if (summary->native_differences) {
        snprintf(text, sizeof text, "%lld of %s that were compared with libunwind's had other frames", (long long)summary->native_differences,
                 units_noun(summary->native_checks, "native stack").text);
        summary_print_warning(reading, text);
    }
    print_changed_modules(reading, summary->changed_modules);
    if (summary->lost_definitions) {
        snprintf(text, sizeof text, "%s were lost: some stacks are unknown", units_noun(summary->lost_definitions, "definition").text);
        summary_print_warning(reading, text);
    }
    if (summary->lost_events) {
        snprintf(text, sizeof text, "%s lost: figures lack what they would have said",
                 units_noun(summary->lost_events, "event").text);
        summary_print_warning(reading, text);
    }
    if (summary->unrecorded_children) {
        snprintf(text, sizeof text, "%s not recorded, too many at a time to be named", units_noun(summary->unrecorded_children, "further program").text);
        summary_print_warning(reading, text);
    }
    if (summary->sampling_interval_bytes && summary->sampling_changes) {
        char changes[1024];
        describe_sampling(summary, changes, sizeof changes);
        summary_print_warning(reading, changes);
    } else if (summary->sampling_interval_bytes) {
        snprintf(text, sizeof text, "sampled, one allocation in %s on average: figures are estimates, with their standard errors; which "
                 "allocations are temporary is not known", units_bytes(summary->sampling_interval_bytes).text);
        summary_print_warning(reading, text);
    }
}

/* The highest level within each column's span of time; columns without a reading keep the level before. */
void summary_sparkline(const struct reading *reading, sqlite3 *database, const struct summary *summary, char *out, int columns)
{
    int64_t *highest = calloc((size_t)columns, sizeof *highest), *last = calloc((size_t)columns, sizeof *last);
    char *seen = calloc(1, (size_t)columns);
    if (!highest || !last || !seen)
        abort();
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
