/* Fills the tables of a report database (store.h). Indexes and views come last, when the rows are there. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema_text.h"
#include "store_insert.h"

static const char *const kind_names[] = {
    [TRACE_FRAME_PYTHON] = "python", [TRACE_FRAME_NATIVE] = "native", [TRACE_FRAME_CUT] = "cut",
};
static const char *const origin_names[] = {
    [FRAME_USER] = "user",     [FRAME_PACKAGE] = "package",  [FRAME_STDLIB] = "stdlib",
    [FRAME_IMPORT] = "import", [FRAME_OF_NATIVE] = "native", [FRAME_SYSTEM] = "system",
};
static const char *const end_names[] = {
    [TRACE_END_UNKNOWN] = "unknown", [TRACE_END_EXIT] = "exit",       [TRACE_END_SIGNAL] = "signal",
    [TRACE_END_EXEC] = "exec",       [TRACE_END_STOPPED] = "stopped",
};
static const char *const module_state_names[] = {
    [SYMBOLIZER_UNUSED] = NULL, [SYMBOLIZER_ABSENT] = "absent", [SYMBOLIZER_CHANGED] = "changed",
    [SYMBOLIZER_SYMBOLS] = "functions", [SYMBOLIZER_LINES] = "lines",
};

static const char *end_name(const struct trace_overview *overview)
{
    uint32_t reason = overview->has_end ? overview->end.reason : TRACE_END_UNKNOWN;
    return reason < sizeof end_names / sizeof *end_names ? end_names[reason] : "unknown";
}

/* The process came to an end that it chose, and all of it was read. */
static int is_complete(const struct replay *replay)
{
    uint32_t reason = replay->overview.has_end ? replay->overview.end.reason : TRACE_END_UNKNOWN;
    return !replay->damage.status && (reason == TRACE_END_EXIT || reason == TRACE_END_EXEC || reason == TRACE_END_STOPPED);
}

static int write_summary(sqlite3 *database, const struct store_input *input)
{
    const struct replay *replay = input->replay;
    const struct replay_totals *totals = &replay->totals;
    const struct trace_overview *overview = &replay->overview;
    const struct trace_identity *identity = &overview->identity;
    struct insert insert;
    char damage[320];
    insert_begin(&insert, database, "summary", 28);
    insert_number(&insert, identity->pid);
    insert_number(&insert, identity->parent_pid);
    insert_text(&insert, definition_table_property(&replay->definitions, "command"));
    insert_text(&insert, definition_table_property(&replay->definitions, "executable"));
    insert_text(&insert, definition_table_property(&replay->definitions, "python"));
    insert_number(&insert, identity->start_realtime_ns);
    insert_number(&insert, replay->duration_ns);
    insert_number(&insert, (uint64_t)is_complete(replay));
    insert_text(&insert, end_name(overview));
    if (overview->has_end)
        insert_signed(&insert, overview->end.status);
    else
        insert_null(&insert);
    snprintf(damage, sizeof damage, "%s (at byte %llu)", replay->damage.message, (unsigned long long)replay->damage.offset);
    insert_text(&insert, replay->damage.status ? damage : NULL);
    insert_number(&insert, totals->peak_bytes);
    insert_number(&insert, totals->peak_time_ns);
    insert_number(&insert, totals->peak_event);
    insert_number_or_null(&insert, totals->peak_rss_bytes);
    insert_number(&insert, totals->event_count);
    insert_number(&insert, totals->allocated_bytes);
    insert_number(&insert, totals->allocations);
    insert_number(&insert, totals->live_bytes);
    insert_number(&insert, totals->live_allocations);
    insert_number(&insert, totals->temporary_allocations);
    insert_number(&insert, totals->copied_bytes);
    insert_number(&insert, totals->copies);
    insert_number(&insert, totals->lost_events);
    insert_number(&insert, totals->unknown_frees);
    insert_number(&insert, identity->sampling_interval_bytes);
    insert_number(&insert, identity->copy_threshold_bytes);
    insert_number(&insert, totals->peak_allocations);
    insert_row(&insert);
    return insert_end(&insert);
}

static int write_properties(sqlite3 *database, const struct store_input *input)
{
    const struct definition_table *definitions = &input->replay->definitions;
    struct insert insert;
    insert_begin(&insert, database, "property", 2);
    for (uint32_t i = 0; i < definitions->property_count; i++) {
        insert_text(&insert, definitions->properties[i].key);
        insert_text(&insert, definitions->properties[i].value);
        insert_row(&insert);
    }
    if (input->cache_key) {
        insert_text(&insert, STORE_KEY_PROPERTY);
        insert_text(&insert, input->cache_key);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static int write_threads_and_modules(sqlite3 *database, const struct store_input *input)
{
    const struct definition_table *definitions = &input->replay->definitions;
    struct insert insert;
    insert_begin(&insert, database, "thread", 3);
    for (uint32_t id = 1; id < definitions->thread_count; id++) {
        insert_number(&insert, id);
        insert_number(&insert, definitions->threads[id].kernel_id);
        insert_text(&insert, definitions->threads[id].name);
        insert_row(&insert);
    }
    int status = insert_end(&insert);
    if (status)
        return status;
    insert_begin(&insert, database, "module", 5);
    for (uint32_t id = 1; id < definitions->module_count; id++) {
        insert_number(&insert, id);
        insert_text(&insert, definitions->modules[id].path);
        insert_text(&insert, *definitions->modules[id].build_id ? definitions->modules[id].build_id : NULL);
        insert_number(&insert, definitions->modules[id].load_bias);
        insert_text(&insert, module_state_names[input->frames->module_states[id]]);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static int write_frames(sqlite3 *database, const struct store_input *input)
{
    struct insert insert;
    insert_begin(&insert, database, "frame", 7);
    for (uint32_t id = 1; id < input->frames->frame_count; id++) {
        const struct frame *frame = &input->frames->frames[id];
        insert_number(&insert, id);
        insert_text(&insert, kind_names[frame->kind]);
        insert_text(&insert, frame->function);
        insert_text(&insert, frame->file);
        insert_number_or_null(&insert, (uint64_t)frame->line);
        insert_text(&insert, frame->module);
        insert_text(&insert, origin_names[frame->origin]);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static void write_stack(struct insert *insert, int64_t stack_id, uint32_t caller_id, uint32_t frame_id, uint32_t depth,
                        uint32_t line_frame_id)
{
    insert_signed(insert, stack_id);
    if (frame_id)
        insert_number(insert, caller_id);
    else
        insert_null(insert);
    insert_number_or_null(insert, frame_id);
    insert_number(insert, depth);
    insert_number(insert, line_frame_id);
    insert_row(insert);
}

static int write_stacks(sqlite3 *database, const struct store_input *input)
{
    const struct frame_table *frames = input->frames;
    struct insert insert;
    insert_begin(&insert, database, "stack", 5);
    write_stack(&insert, STACK_SMALL_COPIES, 0, frames->small_copies_frame, 1, frames->small_copies_frame);
    write_stack(&insert, STACK_ARENA_SLACK, 0, frames->slack_frame, 1, frames->slack_frame);
    for (uint32_t id = 0; id < input->lines->stack_count; id++) {
        const struct stack_entry *entry = &input->lines->stacks[id];
        write_stack(&insert, id, entry->caller_id, entry->frame_id, entry->depth, entry->line_frame_id);
    }
    return insert_end(&insert);
}

static void insert_figures(struct insert *insert, const struct figures *figures)
{
    for (int i = 0; i < FIGURE_COUNT; i++)
        insert_number(insert, figures->values[i]);
}

static int write_stack_uses(sqlite3 *database, const struct store_input *input)
{
    const struct replay *replay = input->replay;
    struct insert insert;
    insert_begin(&insert, database, "stack_use", 12);
    for (int64_t id = STACK_SMALL_COPIES; id < input->lines->stack_count; id++) {
        struct figures figures = line_report_stack_figures(replay, id);
        if (figures_are_zero(&figures))
            continue;
        insert_signed(&insert, id);
        insert_figures(&insert, &figures);
        if (id >= 0 && replay->uses[id].live_allocations) {
            insert_number(&insert, replay->births[id].oldest_ns);
            insert_number(&insert, replay->births[id].newest_ns);
        } else {
            insert_null(&insert);
            insert_null(&insert);
        }
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static int write_lines(sqlite3 *database, const struct store_input *input, const char *table, int inclusive)
{
    struct insert insert;
    insert_begin(&insert, database, table, 14);
    for (uint32_t i = 0; i < input->lines->line_count; i++) {
        const struct line_entry *line = &input->lines->lines[i];
        const struct figures *figures = inclusive ? &line->inclusive : &line->self;
        if (figures_are_zero(figures))
            continue;
        insert_text(&insert, line->file);
        insert_number_or_null(&insert, (uint64_t)line->line);
        insert_text(&insert, line->function);
        insert_text(&insert, kind_names[line->kind]);
        insert_text(&insert, origin_names[line->origin]);
        insert_figures(&insert, figures);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static int write_timeline(sqlite3 *database, const struct store_input *input)
{
    const struct replay *replay = input->replay;
    struct insert insert;
    insert_begin(&insert, database, "timeline", 4);
    for (uint32_t i = 0; i < replay->timeline_count; i++) {
        insert_number(&insert, replay->timeline[i].time_ns);
        insert_number(&insert, replay->timeline[i].heap_bytes);
        insert_number(&insert, replay->timeline[i].heap_peak_bytes);
        insert_number_or_null(&insert, replay->timeline[i].rss_bytes);
        insert_row(&insert);
    }
    int status = insert_end(&insert);
    if (status)
        return status;
    insert_begin(&insert, database, "window", 3);
    for (uint32_t i = 0; i < replay->window_count; i++) {
        insert_number(&insert, i);
        insert_number(&insert, replay->windows[i].end_time_ns);
        insert_number(&insert, replay->windows[i].heap_bytes);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static void write_span(struct insert *insert, const struct window_change *since, uint32_t last_window_id)
{
    if (!since->live_allocations && !since->live_bytes)
        return;
    insert_number(insert, since->stack_id);
    insert_number(insert, since->window_id);
    insert_number(insert, last_window_id);
    insert_number(insert, since->live_bytes);
    insert_number(insert, since->live_allocations);
    insert_row(insert);
}

/* `current`: by stack id, what the stack has held since which window. */
static int write_spans(struct insert *insert, const struct store_input *input, struct window_change *current)
{
    struct replay *replay = input->replay;
    struct window_change change;
    int status = window_log_rewind(&replay->window_log);
    while (!status && !(status = window_log_next(&replay->window_log, &change))) {
        if (!replay->uses[change.stack_id].live_allocations)
            continue;
        write_span(insert, &current[change.stack_id], change.window_id - 1);
        current[change.stack_id] = change;
    }
    if (status != STATUS_END)
        return status;
    for (uint32_t id = 0; id < input->lines->stack_count; id++)
        write_span(insert, &current[id], replay->window_count - 1);
    return STATUS_OK;
}

static int write_live_spans(sqlite3 *database, const struct store_input *input)
{
    struct window_change *current = calloc(input->lines->stack_count, sizeof *current);
    if (!current)
        return STATUS_NO_MEMORY;
    struct insert insert;
    insert_begin(&insert, database, "live_span", 5);
    int status = write_spans(&insert, input, current);
    int end_status = insert_end(&insert);
    free(current);
    return status ? status : end_status;
}

static int write_tables(sqlite3 *database, const struct store_input *input)
{
    static int (*const writers[])(sqlite3 *, const struct store_input *) = {
        write_summary, write_properties,  write_threads_and_modules, write_frames, write_stacks,
        write_stack_uses, write_timeline, write_live_spans,
    };
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        int status = writers[i](database, input);
        if (status)
            return status;
    }
    int status = write_lines(database, input, "line_use", 0);
    return status ? status : write_lines(database, input, "line_use_inclusive", 1);
}

static int run(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK ? STATUS_OK : STATUS_DATABASE;
}

int store_write(sqlite3 *database, const struct store_input *input)
{
    /* The file has no readers and no value before it is complete: no journal, no waiting for the disk. */
    int status = run(database, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
    if (!status)
        status = run(database, schema_sql);
    if (!status)
        status = write_tables(database, input);
    if (!status)
        status = run(database, schema_views_sql);
    return status ? status : run(database, "COMMIT");
}
