/* See leak_processes.h. One process after the other is replayed, or its cached report read; only what is reported of it is kept. */
#include "leak_processes.h"

#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "leak_groups.h"
#include "line_rows.h"
#include "memory.h"
#include "message.h"
#include "paths.h"
#include "table.h"
#include "units.h"

#define PLACES_SHOWN 10
#define PIDS_SHOWN 4

/* ---- adding up ---- */

static int is_same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static struct leak_place *place_of(struct leak_processes *leaks, const struct set_frame *frame)
{
    const char *file = frame->file ? frame->file : frame->module;
    for (int i = 0; i < leaks->place_count; i++)
        if (leaks->places[i].line == frame->line && is_same(leaks->places[i].file, file) && is_same(leaks->places[i].function, frame->function))
            return &leaks->places[i];
    leaks->places = memory_resize(leaks->places, (size_t)leaks->place_count + 1, sizeof *leaks->places);
    struct leak_place *place = &leaks->places[leaks->place_count++];
    *place = (struct leak_place){.line = frame->line, .file = file ? memory_copy(file) : NULL,
                                 .function = frame->function ? memory_copy(frame->function) : NULL};
    return place;
}

static void add_share(struct leak_place *place, const struct leak_share *share)
{
    place->shares = memory_resize(place->shares, (size_t)place->share_count + 1, sizeof *place->shares);
    place->shares[place->share_count++] = *share;
    place->whole.live_bytes += share->live_bytes;
    place->whole.live_allocations += share->live_allocations;
    place->whole.bytes_per_second += share->bytes_per_second;
    if (share->count > place->whole.count)
        place->whole.count = share->count;
    count_error_add(&place->whole.judged, &share->judged);
    if (share->confidence > place->whole.confidence)
        place->whole.confidence = share->confidence;
}

static void add_process(struct leak_processes *leaks, uint32_t process, const struct leak_rows *rows)
{
    leaks->read_count++;
    leaks->process_count += rows->confident_count > 0;
    leaks->live_bytes += rows->live_bytes;
    leaks->end_bytes += rows->end_bytes;
    leaks->bytes_per_second += rows->growth_bytes_per_second;
    leaks->held_process_count += !rows->confident_count && rows->held_count;
    for (int64_t i = 0; i < rows->confident_count + rows->held_count; i++) {
        const struct leak_row *row = &rows->rows[i];
        if (row->leak && !row->is_first)
            continue;
        struct leak_sum sum = row->leak ? leak_sum(rows, row->leak)
                                        : (struct leak_sum){1, row->live_bytes, row->live_allocations, row->growth.bytes_per_second, row->judged};
        add_share(place_of(leaks, &rows->set.frames[row->frame_id]),
                  &(struct leak_share){process, sum.live_bytes, sum.live_allocations, sum.bytes_per_second, row->growth.confidence,
                                     sum.judged, !rows->grain_bytes ? COUNT_EXACT : rows->knows_errors ? COUNT_SAMPLED : COUNT_UNKNOWN});
    }
}

static int by_growth(const void *a, const void *b)
{
    const struct leak_place *one = a, *other = b;
    int is_sure = one->whole.confidence >= LEAK_CONFIDENT, is_other_sure = other->whole.confidence >= LEAK_CONFIDENT;
    if (is_sure != is_other_sure)
        return is_other_sure - is_sure;
    return (one->whole.bytes_per_second < other->whole.bytes_per_second) - (one->whole.bytes_per_second > other->whole.bytes_per_second);
}

void leak_processes_load(const struct reading *reading, struct suppressions *suppressions, uint64_t limit_bytes, struct leak_processes *ret_leaks)
{
    struct leak_processes leaks = {0};
    process_list_load(reading, &leaks.processes);
    for (uint32_t i = 0; i < leaks.processes.count; i++) {
        struct reading own = *reading;
        struct status_detail detail = {0};
        struct leak_rows rows;
        sqlite3 *database;
        if (leaks.processes.processes[i].unrecorded)
            continue;
        own.trace = leaks.processes.processes[i].trace_path;
        int status = reading_try_open(&own, &database, &detail);
        if (status && i == 0)
            fail_trace(own.trace, status, &detail);
        if (status) {
            warn("left out: %s: %s", paths_relative(own.trace), detail.message);
            continue;
        }
        suppressions_begin_set(suppressions);
        leak_rows_load(database, suppressions, limit_bytes, &rows);
        add_process(&leaks, i, &rows);
        leak_rows_free(&rows);
        reading_close(&own, database);
    }
    if (leaks.place_count)
        qsort(leaks.places, (size_t)leaks.place_count, sizeof *leaks.places, by_growth);
    *ret_leaks = leaks;
}

void leak_processes_free(struct leak_processes *leaks)
{
    for (int i = 0; i < leaks->place_count; i++) {
        free(leaks->places[i].file);
        free(leaks->places[i].function);
        free(leaks->places[i].shares);
    }
    free(leaks->places);
    process_list_free(&leaks->processes);
}

/* ---- JSON ---- */

static void write_figures(struct json *json, const struct leak_share *share)
{
    json_integer(json, "live_bytes", share->live_bytes);
    json_integer(json, "live_allocations", share->live_allocations);
    json_integer(json, "growth_bytes_per_second", (int64_t)(share->bytes_per_second + 0.5));
    json_real(json, "confidence", share->confidence);
    if (share->count != COUNT_SAMPLED)
        return;
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "live_allocations", count_interval_of(&share->judged, LIVE_ALLOCATIONS, share->live_allocations));
    json_object_end(json);
}

static void write_place(struct json *json, const struct leak_processes *leaks, const struct leak_place *place)
{
    json_object(json, NULL);
    json_text(json, "file", place->file);
    json_line(json, "line", place->line);
    json_text(json, "function", place->function);
    write_figures(json, &place->whole);
    json_array(json, "processes");
    for (int i = 0; i < place->share_count; i++) {
        const struct report_process *process = &leaks->processes.processes[place->shares[i].process];
        json_object(json, NULL);
        json_integer(json, "pid", process->pid);
        json_text(json, "trace", process->trace_path);
        write_figures(json, &place->shares[i]);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

void leak_processes_write(const struct reading *reading, const struct leak_processes *leaks, struct json *json)
{
    int64_t limit = reading_limit(reading, 0);
    json_integer(json, "processes", leaks->read_count);
    json_integer(json, "processes_growing", leaks->process_count);
    json_integer(json, "live_bytes", leaks->live_bytes);
    json_integer(json, "growth_bytes_per_second", (int64_t)(leaks->bytes_per_second + 0.5));
    json_array(json, "candidates");
    for (int i = 0; i < leaks->place_count && (!limit || i < limit); i++)
        write_place(json, leaks, &leaks->places[i]);
    json_array_end(json);
}

/* ---- text ---- */

static void add_pids(struct table *table, const struct leak_processes *leaks, const struct leak_place *place)
{
    char text[128];
    int used = snprintf(text, sizeof text, "%d:", place->share_count);
    for (int i = 0; i < place->share_count && i < PIDS_SHOWN; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, " %u", leaks->processes.processes[place->shares[i].process].pid);
    table_cell(table, "%s%s", text, place->share_count > PIDS_SHOWN ? " and others" : "");
}

static int any_is_sampled(const struct leak_processes *leaks)
{
    int any = 0;
    for (int i = 0; i < leaks->place_count; i++)
        any |= leaks->places[i].whole.count == COUNT_SAMPLED;
    return any;
}

static void add_interval(struct table *table, const struct leak_share *share)
{
    struct estimate_interval interval = count_interval_of(&share->judged, LIVE_ALLOCATIONS, share->live_allocations);
    int is_shown = share->count == COUNT_SAMPLED && interval.low != interval.high;
    table_cell(table, "%s", is_shown ? estimate_count_text(interval).text : "");
}

static void print_places(const struct reading *reading, const struct leak_processes *leaks, int64_t limit)
{
    struct table_column columns[8] = {
        {.title = "line", .style = STYLE_PLACE, .flexible = 20, .clip_start = 1},
        {.title = "function", .flexible = 12, .expendable = 2},
        {.title = "live", .align = TABLE_RIGHT, .style = STYLE_BOLD},
        {.title = "blocks", .align = TABLE_RIGHT, .expendable = 3},
    };
    int column_count = 4, is_sampled = any_is_sampled(leaks);
    if (is_sampled)
        columns[column_count++] = (struct table_column){.title = "95 %", .align = TABLE_RIGHT, .style = STYLE_DIM, .expendable = 4};
    columns[column_count++] = (struct table_column){.title = "growth", .align = TABLE_RIGHT};
    columns[column_count++] = (struct table_column){.title = "confidence", .align = TABLE_RIGHT, .expendable = 1};
    columns[column_count++] = (struct table_column){.title = "in processes", .flexible = 12};
    struct table *table = table_new(&reading->terminal, columns, column_count);
    for (int i = 0; i < leaks->place_count && (!limit || i < limit); i++) {
        const struct leak_place *place = &leaks->places[i];
        char *text = line_place(reading, place->file, place->line, place->file ? place->function : "(no stack)");
        table_cell(table, "%s", text);
        table_cell(table, "%s", place->function ? place->function : "");
        table_cell(table, "%s", units_bytes(place->whole.live_bytes).text);
        table_cell(table, "%s", units_count(place->whole.live_allocations).text);
        if (is_sampled)
            add_interval(table, &place->whole);
        table_cell(table, "%s/s", units_bytes((int64_t)place->whole.bytes_per_second).text);
        table_cell(table, "%.2f", place->whole.confidence);
        add_pids(table, leaks, place);
        free(text);
    }
    table_print(table);
    table_free(table);
}

/* The process in which the first line grows fastest. */
static const char *worst_trace(const struct leak_processes *leaks)
{
    const struct leak_place *place = &leaks->places[0];
    int worst = 0;
    for (int i = 1; i < place->share_count; i++)
        if (place->shares[i].bytes_per_second > place->shares[worst].bytes_per_second)
            worst = i;
    return leaks->processes.processes[place->shares[worst].process].trace_path;
}

void leak_processes_print(const struct reading *reading, const struct leak_processes *leaks)
{
    static const char *const next_commands[] = {"leaks %s", "the same of one process, with stacks and evidence"};
    int64_t limit = reading_limit(reading, PLACES_SHOWN);
    fprintf(reading->terminal.out, "%d process%s, %s live in all; ", leaks->read_count, leaks->read_count == 1 ? "" : "es",
            units_bytes(leaks->live_bytes).text);
    if (!leaks->place_count) {
        fputs("no line kept growing in any of them.\n", reading->terminal.out);
        return;
    }
    fprintf(reading->terminal.out, "in %d of them lines kept growing, by %s/s.\n", leaks->process_count,
            units_bytes((int64_t)leaks->bytes_per_second).text);
    if (leaks->held_process_count)
        fprintf(reading->terminal.out, "In %d of them lines grew until the process had nothing to do (confidence %.1f at most).\n",
                leaks->held_process_count, LEAK_UNTIL_IDLE);
    fputc('\n', reading->terminal.out);
    print_places(reading, leaks, limit);
    if (limit && leaks->place_count > limit)
        terminal_print(&reading->terminal, STYLE_DIM, "and %s (--limit 0 shows all)\n",
                       units_noun(leaks->place_count - limit, "further line").text);
    struct reading worst = *reading;
    worst.trace = paths_relative(worst_trace(leaks));
    reading_next(&worst, next_commands, 1);
}
