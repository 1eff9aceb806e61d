/* See process_list.h. Sums come from the traces' end blocks: nothing is replayed for them. The sum of the peaks is the most that all can have
 * needed together; they need not have been at the same time, and what a child inherited by a fork is in its parent's, too. */
#include "process_list.h"

#include <stdlib.h>
#include <string.h>

#include "collector_client.h"
#include "memory.h"
#include "paths.h"
#include "summary.h"
#include "table.h"
#include "text.h"
#include "trace_event.h"
#include "units.h"

#define NO_PARENT UINT32_MAX
#define INDENT 2
#define MAX_NAMED 5

struct sums {
    int64_t peak_bytes, allocated_bytes, allocations, copied_bytes, live_bytes, lost_events;
    uint32_t without; /* processes that have none */
    uint32_t unrecorded;
};

static struct sums add_up(const struct process_list *list)
{
    struct sums sums = {0};
    for (uint32_t i = 0; i < list->count; i++) {
        const struct report_process *process = &list->processes[i];
        sums.peak_bytes += (int64_t)process->peak_bytes;
        sums.allocated_bytes += (int64_t)process->allocated_bytes;
        sums.allocations += (int64_t)process->allocations;
        sums.copied_bytes += (int64_t)process->copied_bytes;
        sums.live_bytes += (int64_t)process->live_bytes;
        sums.lost_events += (int64_t)process->lost_events;
        sums.without += !process->has_totals;
        sums.unrecorded += process->unrecorded != NULL;
    }
    return sums;
}

/* ---- who started whom ---- */

/* The image of the parent that ran when the process began: a process id may have been several, one after the other, by exec. */
static uint32_t parent_of(const struct process_list *list, uint32_t child)
{
    uint32_t parent = NO_PARENT;
    const struct report_process *processes = list->processes;
    for (uint32_t i = 0; i < list->count; i++)
        if (i != child && processes[i].pid == processes[child].parent_pid && processes[i].pid != processes[child].pid &&
            processes[i].start_realtime_ns <= processes[child].start_realtime_ns &&
            (parent == NO_PARENT || processes[i].start_realtime_ns > processes[parent].start_realtime_ns))
            parent = i;
    return parent;
}

/* A parent began before its child, so that this ends. */
static uint32_t add_children(struct process_list *list, const uint32_t *parents, uint32_t parent, uint32_t depth, uint32_t count)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (parents[i] == parent) {
            list->order[count++] = i;
            list->depths[i] = depth;
            count = add_children(list, parents, i, depth + 1, count);
        }
    return count;
}

static void find_order(struct process_list *list)
{
    uint32_t *parents = memory_new(list->count, sizeof *parents);
    list->order = memory_new(list->count, sizeof *list->order);
    list->depths = memory_new(list->count, sizeof *list->depths);
    for (uint32_t i = 0; i < list->count; i++)
        parents[i] = parent_of(list, i);
    /* Equal times could make a circle: then they are listed as they come. */
    if (add_children(list, parents, NO_PARENT, 0, 0) != list->count) {
        free(list->order);
        free(list->depths);
        list->order = list->depths = NULL;
    }
    free(parents);
}

void process_list_load(const struct reading *reading, struct process_list *ret_list)
{
    struct status_detail detail = {0};
    *ret_list = (struct process_list){0};
    /* The trace itself could be read: whatever is wrong with its neighbours is no reason to refuse its report. */
    if (report_processes_find(reading->trace, &ret_list->processes, &ret_list->count, &detail))
        *ret_list = (struct process_list){0};
    if (ret_list->count)
        find_order(ret_list);
}

void process_list_free(struct process_list *list)
{
    report_processes_free(list->processes, list->count);
    free(list->order);
    free(list->depths);
}

static const char *end_word(int reason)
{
    static const char *const words[] = {[TRACE_END_UNKNOWN] = "unknown", [TRACE_END_EXIT] = "exit", [TRACE_END_SIGNAL] = "signal",
                                        [TRACE_END_EXEC] = "exec", [TRACE_END_STOPPED] = "stopped",
                                        [TRACE_END_SNAPSHOT] = "snapshot"};
    return reason >= 0 && reason <= TRACE_END_SNAPSHOT ? words[reason] : "unknown";
}

/* ---- JSON ---- */

void process_list_write_exit(struct json *json, const char *kind, int64_t status)
{
    if (!kind || (strcmp(kind, "exit") && strcmp(kind, "signal")))
        json_null(json, "exit");
    else
        json_integer(json, "exit", strcmp(kind, "signal") ? status : -status);
}

static void write_figure(struct json *json, const char *name, int is_known, uint64_t figure)
{
    if (is_known)
        json_integer(json, name, (int64_t)figure);
    else
        json_null(json, name);
}

static void write_process(struct json *json, const struct report_process *process)
{
    json_object(json, NULL);
    json_integer(json, "pid", process->pid);
    json_integer(json, "parent_pid", process->parent_pid);
    json_text(json, "command", process->command);
    json_integer(json, "peak_bytes", (int64_t)process->peak_bytes);
    write_figure(json, "allocated_bytes", process->has_totals, process->allocated_bytes);
    write_figure(json, "allocations", process->has_totals, process->allocations);
    write_figure(json, "copied_bytes", process->has_totals, process->copied_bytes);
    write_figure(json, "live_bytes_at_end", process->has_totals, process->live_bytes);
    write_figure(json, "lost_events", process->has_totals, process->lost_events);
    process_list_write_exit(json, end_word(process->exit_kind), process->exit_status);
    json_text(json, "exit_kind", end_word(process->exit_kind));
    json_boolean(json, "complete", process->complete);
    json_text(json, "unrecorded", process->unrecorded);
    json_text(json, "trace", process->trace_path);
    json_object_end(json);
}

void process_list_write(struct json *json, const struct process_list *list)
{
    struct sums sums = add_up(list);
    int is_known = list->count && !sums.without;
    json_array(json, "processes");
    for (uint32_t i = 0; i < list->count; i++)
        write_process(json, &list->processes[i]);
    json_array_end(json);
    json_object(json, "all_processes");
    json_integer(json, "processes", list->count);
    json_integer(json, "unrecorded", sums.unrecorded);
    json_integer(json, "peak_bytes", sums.peak_bytes);
    write_figure(json, "allocated_bytes", is_known, (uint64_t)sums.allocated_bytes);
    write_figure(json, "allocations", is_known, (uint64_t)sums.allocations);
    write_figure(json, "copied_bytes", is_known, (uint64_t)sums.copied_bytes);
    write_figure(json, "live_bytes_at_end", is_known, (uint64_t)sums.live_bytes);
    write_figure(json, "lost_events", is_known, (uint64_t)sums.lost_events);
    json_object_end(json);
}

/* ---- text ---- */

static void print_row(struct table *table, const struct report_process *process, uint32_t depth)
{
    char ending[64];
    summary_ending(end_word(process->exit_kind), process->exit_status, ending, sizeof ending);
    if (process->exit_kind == TRACE_END_UNKNOWN && !process->complete && collector_writes((pid_t)process->pid, process->trace_path))
        snprintf(ending, sizeof ending, "still running");
    if (process->unrecorded)
        snprintf(ending, sizeof ending, "not recorded");
    table_cell(table, "%u", process->pid);
    table_cell(table, "%s", process->unrecorded ? "" : units_bytes((int64_t)process->peak_bytes).text);
    table_cell(table, "%s", process->has_totals && !process->unrecorded ? units_bytes((int64_t)process->allocated_bytes).text : "");
    table_cell(table, "%s", ending);
    table_cell(table, "%*s%s", (int)depth * INDENT, "", process->command ? process->command : "");
    table_cell(table, "%s", paths_relative(process->trace_path));
}

/* The same program, for the same reason, is named once. */
static int was_named(const struct process_list *list, uint32_t at)
{
    const struct report_process *process = &list->processes[at];
    for (uint32_t i = 0; i < at; i++)
        if (list->processes[i].unrecorded && !strcmp(list->processes[i].command, process->command) &&
            !strcmp(list->processes[i].unrecorded, process->unrecorded))
            return 1;
    return 0;
}

static void print_sums(struct table *table, const struct process_list *list)
{
    struct sums sums = add_up(list);
    table_cell(table, "all");
    table_cell(table, "%s", units_bytes(sums.peak_bytes).text);
    table_cell(table, "%s", sums.without ? "" : units_bytes(sums.allocated_bytes).text);
    table_cell(table, "%s", "");
    table_cell(table, "%u processes", list->count);
    table_cell(table, "%s", "");
}

void process_list_print_unrecorded(const struct reading *reading, const struct process_list *list)
{
    uint32_t named = 0, count = add_up(list).unrecorded;
    char text[1280];
    int used = snprintf(text, sizeof text, "%s not recorded: ", units_noun(count, "program").text);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct report_process *process = &list->processes[i];
        if (!process->unrecorded || was_named(list, i))
            continue;
        if (named++ == MAX_NAMED) {
            snprintf(text + used, sizeof text - (size_t)used, ", and others");
            break;
        }
        char *command = text_clean(process->command, reading->terminal.unicode);
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%.100s (%.60s)", named > 1 ? ", " : "", command, process->unrecorded);
        free(command);
    }
    if (count)
        summary_print_warning(reading, text);
}

void process_list_print(const struct reading *reading, const struct process_list *list, int64_t limit)
{
    static const struct table_column columns[] = {
        {.title = "pid", .align = TABLE_RIGHT},
        {.title = "peak", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "allocated", .align = TABLE_RIGHT, .expendable = 2},
        {.title = "ended", .flexible = 8, .expendable = 1},
        {.title = "command", .flexible = 20},
        {.title = "trace", .style = STYLE_PLACE, .flexible = 16, .clip_start = 1},
    };
    if (list->count < 2)
        return;
    terminal_heading(&reading->terminal, "Processes", "who started whom; each has a trace of its own");
    struct table *table = table_new(&reading->terminal, columns, 6);
    for (uint32_t i = 0; i < list->count && (!limit || i < limit); i++) {
        uint32_t at = list->order ? list->order[i] : i;
        print_row(table, &list->processes[at], list->order ? list->depths[at] : 0);
    }
    print_sums(table, list);
    table_print(table);
    table_free(table);
    if (limit && list->count > limit)
        terminal_print(&reading->terminal, STYLE_DIM, "and %u more\n", list->count - (uint32_t)limit);
}
