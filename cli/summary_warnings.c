/* What a reader must know before trusting the figures: see summary.h. */
#include "summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "units.h"

static void say(const struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct reading *reading, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    summary_print_warning(reading, text);
}

/* `what` is the trace's, and may be anything. */
static void say_about(const struct reading *reading, const char *before, const char *what, const char *after)
{
    char *clean = text_clean(what, reading->terminal.unicode);
    say(reading, "%s%.400s%s", before, clean, after);
    free(clean);
}

/* ---- how it ended ---- */

static void say_ending(const struct reading *reading, const struct summary *summary)
{
    if (summary->damage) {
        say_about(reading, "damaged trace (", summary->damage, "): this is what its good part says");
    } else if (summary->cut) {
        char after[128];
        snprintf(after, sizeof after, "): what the program did after %s is not known, 'at the end' means then", units_time(summary->duration_ns).text);
        say_about(reading, "the trace was cut (", summary->cut, after);
    } else if (summary_is_growing(reading, summary)) {
        say(reading, "the program still runs: this is what its trace holds until now, of its first %s; 'at the end' means then",
            units_time(summary->duration_ns).text);
    } else if (summary->is_endless) {
        say(reading, "the trace has no end: the collector was killed, its disk was full, or it still records, elsewhere. What "
                     "happened after the last event here is lost, and nobody counted it");
    } else if (!summary->complete && !summary->stopped) {
        char ending[64];
        summary_ending(summary->exit_kind, summary->exit_status, ending, sizeof ending);
        say(reading, "the program did not end by itself (%s): 'at the end' means its last event", ending);
    }
}

/* ---- what was recorded ---- */

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
static int say_recorded(const struct reading *reading, const struct summary *summary)
{
    char text[1024];
    const char *at = summary->recorded;
    struct recorded_span span;
    if (!at)
        return 1;
    if (!summary_next_span(&at, summary->duration_ns, &span)) {
        say(reading, "nothing was recorded: the program ran paused, and nobody said 'heapline start %lld'", (long long)summary->pid);
        return 0;
    }
    if (*at || span.start_ns > 0 || span.end_ns < summary->duration_ns) {
        describe_spans(summary, text, sizeof text);
        summary_print_warning(reading, text);
    }
    return 1;
}

static void say_not_seen(const struct reading *reading, const struct summary *summary)
{
    if (summary->event_count == 0 && summary_is_growing(reading, summary))
        say(reading, "no allocation was recorded so far");
    else if (summary->event_count == 0)
        say(reading, "no allocation was recorded: unless the program makes none, another allocator is linked into it statically, or "
                     "preloaded before this recorder");
    else if (summary->other_malloc)
        say(reading, "malloc is another library's, preloaded before this recorder or linked into the program: what it serves is not "
                     "recorded. Preload that library after heapline");
    if (summary->python_stacks_off)
        say(reading, "this Python's frames can't be read (free-threaded, or newer than this heapline): its lines are unknown");
    if (summary->stopped)
        say_about(reading, "recording was stopped before the end: ", summary->stopped, "");
}

/* ---- what a bounded trace still has ---- */

static void say_bound(const struct reading *reading, const struct summary *summary)
{
    const char *right = summary->sampling_interval_bytes ? "estimates of the whole" : "exact";
    if (summary->stream_end_ns == 0)
        say(reading, "no event is listed one by one: from the beginning more was live than the trace's size bound has room for. Peak, "
                     "totals, copies and what was live at the end are %s, but what happened when is known only roughly", right);
    else if (summary->stream_end_ns > 0)
        say(reading, "the trace reached its size bound at %s: peak, totals, copies and what was live at the end are %s, but what "
                     "happened when is known only roughly from there on", units_time(summary->stream_end_ns).text, right);
    if (summary->events_from_ns)
        say(reading, "old parts of the trace have made room: peak, totals, copies and what was live at the end are %s, but what "
                     "happened when is known only roughly before %s", right, units_time(summary->events_from_ns).text);
}

/* ---- what is missing ---- */

static void say_changed_modules(const struct reading *reading, const char *paths)
{
    for (const char *path = paths; path && *path;) {
        char line[400];
        size_t length = strcspn(path, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, path);
        say_about(reading, "", line, " is another build by now than the one that ran: its functions and lines are not shown");
        path += length + (path[length] == '\n');
    }
}

static void say_losses(const struct reading *reading, const struct summary *summary)
{
    if (summary->unsafe_stacks)
        say(reading, "%s could not be read and are cut or empty", units_noun(summary->unsafe_stacks, "stack").text);
    if (summary->native_differences)
        say(reading, "%lld of %s that were compared with libunwind's had other frames", (long long)summary->native_differences,
            units_noun(summary->native_checks, "native stack").text);
    say_changed_modules(reading, summary->changed_modules);
    if (summary->lost_definitions)
        say(reading, "%s were lost: some stacks are unknown", units_noun(summary->lost_definitions, "definition").text);
    if (summary->lost_events)
        say(reading, "%s lost: figures lack what they would have said", units_noun(summary->lost_events, "event").text);
    if (summary->unrecorded_children)
        say(reading, "%s not recorded, too many at a time to be named", units_noun(summary->unrecorded_children, "further program").text);
}

/* ---- what is estimated ---- */

static void describe_sampling(const struct summary *summary, char *text, size_t size)
{
    const char *at = summary->sampling_changes;
    struct sampling_span span;
    int used = snprintf(text, size, "figures are estimates, with the interval of each that holds the truth 19 times in 20: ");
    for (int count = 0; used < (int)size - 200 && summary_next_sampling(&at, &span); count++) {
        used += snprintf(text + used, size - (size_t)used, "%s", count ? ", " : "");
        used += span.interval_bytes ? snprintf(text + used, size - (size_t)used, "one allocation in %s on average", units_bytes(span.interval_bytes).text)
                                    : snprintf(text + used, size - (size_t)used, "every allocation");
        used += snprintf(text + used, size - (size_t)used, " from %s on", units_time(span.start_ns).text);
    }
    snprintf(text + used, size - (size_t)used, "%s; which are temporary is known where every one was recorded", *at ? ", and more" : "");
}

static void say_sampling(const struct reading *reading, const struct summary *summary)
{
    if (!summary->sampling_interval_bytes)
        return;
    if (summary->sampling_changes) {
        char changes[1024];
        describe_sampling(summary, changes, sizeof changes);
        summary_print_warning(reading, changes);
        return;
    }
    say(reading, "sampled, one allocation in %s on average: figures are estimates, with the interval of each that holds the truth 19 times in 20; which "
                 "allocations are temporary is not known", units_bytes(summary->sampling_interval_bytes).text);
}

void summary_print_warnings(const struct reading *reading, const struct summary *summary)
{
    if (summary->unrecorded && !summary->damage) {
        say_about(reading, "this program was not recorded: ", summary->unrecorded, ". It ran as it does without heapline");
        return;
    }
    say_ending(reading, summary);
    if (!say_recorded(reading, summary))
        return;
    say_not_seen(reading, summary);
    say_bound(reading, summary);
    say_losses(reading, summary);
    say_sampling(reading, summary);
}
