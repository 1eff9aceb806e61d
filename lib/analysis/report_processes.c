/* Finds the traces of all processes of a run, by file name and session id (report_database.h). */
#include "report_database.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "trace_reader.h"

struct process_list {
    struct report_process *processes;
    size_t count, capacity;
    uint64_t session_id;
};

/* How much of a name is left without a last ".digits"; all of it where there is none. */
static size_t without_number(const char *name, size_t length)
{
    size_t end = length;
    while (end && isdigit((unsigned char)name[end - 1]))
        end--;
    return end > 1 && end < length && name[end - 1] == '.' ? end - 1 : length;
}

/* The process id and a counter are appended to a run's path: two numbers at most. */
static int may_belong(const char *name, const char *given)
{
    size_t name_length = strlen(name), given_length = strlen(given);
    size_t names[3], givens[3];
    for (int i = 0; i < 3; i++) {
        names[i] = i ? without_number(name, names[i - 1]) : name_length;
        givens[i] = i ? without_number(given, givens[i - 1]) : given_length;
    }
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            if (names[i] == givens[j] && !memcmp(name, given, names[i]))
                return 1;
    return 0;
}

/* What the first block says of the process. */
static void read_properties(struct trace_reader *reader, struct report_process *process)
{
    struct {
        const char *key;
        char **value;
    } const wanted[] = {{"command", &process->command}, {"unrecorded", &process->unrecorded}};
    struct trace_definition definition;
    struct status_detail detail;
    if (trace_reader_next_block(reader, &detail))
        return;
    while (!trace_reader_next_definition(reader, &definition, &detail))
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted && definition.kind == TRACE_DEFINE_PROPERTY; i++)
            if (!*wanted[i].value && definition.property.key_bytes == strlen(wanted[i].key) &&
                !memcmp(definition.property.key, wanted[i].key, definition.property.key_bytes))
                *wanted[i].value = strndup(definition.property.value, definition.property.value_bytes);
}

static int describe(struct trace_reader *reader, const char *path, struct report_process *process)
{
    const struct trace_overview *overview = trace_reader_overview(reader);
    struct status_detail detail;
    int reason = overview->has_end ? (int)overview->end.reason : TRACE_END_UNKNOWN;
    *process = (struct report_process){
        .trace_path = strdup(path),
        .pid = overview->identity.pid,
        .parent_pid = overview->identity.parent_pid,
        .peak_bytes = overview->peak_bytes,
        .start_realtime_ns = overview->identity.start_realtime_ns,
        .has_totals = overview->has_end && !overview->identity.sampling_interval_bytes && !(overview->identity.flags & TRACE_RESAMPLED),
        .complete = !trace_reader_damage(reader, &detail) &&
                    (reason == TRACE_END_EXIT || reason == TRACE_END_EXEC || reason == TRACE_END_STOPPED ||
                     reason == TRACE_END_SNAPSHOT),
        .exit_kind = reason,
        .exit_status = overview->has_end ? overview->end.status : 0,
    };
    if (process->has_totals) {
        const struct trace_totals *totals = &overview->end.totals;
        process->allocated_bytes = totals->allocated_bytes;
        process->allocations = totals->allocations;
        process->copied_bytes = totals->copied_bytes;
        process->live_bytes = totals->live_bytes;
        process->lost_events = totals->lost_events;
    }
    read_properties(reader, process);
    if (!process->command)
        process->command = strdup("");
    if (process->trace_path && process->command)
        return STATUS_OK;
    free(process->trace_path);
    free(process->command);
    free(process->unrecorded);
    return STATUS_NO_MEMORY;
}

/* Add the trace at `path` if it is of the list's session; the first one decides which session that is. */
static int add_trace(struct process_list *list, const char *path, struct status_detail *detail)
{
    struct trace_reader *reader;
    int status = trace_reader_open(path, &reader, detail);
    if (status)
        return status;
    uint64_t session_id = trace_reader_overview(reader)->identity.session_id;
    if (!list->count)
        list->session_id = session_id;
    if (session_id == list->session_id) {
        status = ARRAY_RESERVE(list->processes, list->capacity, list->count + 1) ? STATUS_OK : STATUS_NO_MEMORY;
        if (!status)
            status = describe(reader, path, &list->processes[list->count]);
        list->count += !status;
    }
    trace_reader_close(reader);
    return status;
}

static int add_siblings(struct process_list *list, const char *trace_path, struct status_detail *detail)
{
    const char *slash = strrchr(trace_path, '/'), *given = slash ? slash + 1 : trace_path;
    int folder_length = slash ? (int)(slash - trace_path) + 1 : 0, status = STATUS_OK;
    char folder[PATH_MAX], path[PATH_MAX + 256];
    if (snprintf(folder, sizeof folder, "%.*s", folder_length, trace_path) >= (int)sizeof folder)
        return STATUS_OK;
    DIR *directory = opendir(folder_length ? folder : ".");
    if (!directory)
        return STATUS_OK;
    for (struct dirent *entry; (entry = readdir(directory)) && status != STATUS_NO_MEMORY;) {
        if (!strcmp(entry->d_name, given) || !may_belong(entry->d_name, given))
            continue;
        snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
        status = add_trace(list, path, detail);
    }
    closedir(directory);
    /* A file with a similar name that is no trace is nobody's fault. */
    return status == STATUS_NO_MEMORY ? status : STATUS_OK;
}

static int compare_processes(const void *a, const void *b)
{
    const struct report_process *left = a, *right = b;
    if (left->start_realtime_ns != right->start_realtime_ns)
        return left->start_realtime_ns < right->start_realtime_ns ? -1 : 1;
    return strcmp(left->trace_path, right->trace_path);
}

int report_processes_find(const char *trace_path, struct report_process **ret_processes, uint32_t *ret_count,
                          struct status_detail *detail)
{
    struct process_list list = {0};
    struct status_detail ignored;
    if (!detail)
        detail = &ignored;
    int status = add_trace(&list, trace_path, detail);
    if (!status)
        status = add_siblings(&list, trace_path, detail);
    if (status) {
        report_processes_free(list.processes, (uint32_t)list.count);
        return status;
    }
    qsort(list.processes + 1, list.count - 1, sizeof *list.processes, compare_processes);
    *ret_processes = list.processes;
    *ret_count = (uint32_t)list.count;
    return STATUS_OK;
}

void report_processes_free(struct report_process *processes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(processes[i].trace_path);
        free(processes[i].command);
        free(processes[i].unrecorded);
    }
    free(processes);
}
