/* Makes a report database (store.h): the schema and the small tables through SQLite; then, with the file closed, the large ones
 * (store_tables.h), which get in page by page. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

#include "object_surveys.h"
#include "schema_text.h"
#include "store_insert.h"
#include "store_tables.h"
#include "source_bundle.h"
#include "symbol_bundle.h"
#include "teardown.h"

static const char *const end_names[] = {
    [TRACE_END_UNKNOWN] = "unknown", [TRACE_END_EXIT] = "exit",       [TRACE_END_SIGNAL] = "signal",
    [TRACE_END_EXEC] = "exec",       [TRACE_END_STOPPED] = "stopped",
    [TRACE_END_SNAPSHOT] = "snapshot",
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
    return !replay->damage.status && (reason == TRACE_END_EXIT || reason == TRACE_END_EXEC || reason == TRACE_END_STOPPED ||
                                       reason == TRACE_END_SNAPSHOT);
}

static int write_summary(sqlite3 *database, const struct store_input *input)
{
    const struct replay *replay = input->replay;
    const struct replay_totals *totals = &replay->totals;
    const struct trace_overview *overview = &replay->overview;
    const struct trace_identity *identity = &overview->identity;
    struct insert insert;
    char damage[320];
    insert_begin(&insert, database, "summary", 33);
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
    insert_number(&insert, totals->sampling_interval_bytes);
    insert_number(&insert, identity->copy_threshold_bytes);
    insert_number(&insert, totals->peak_allocations);
    if (overview->has_tally)
        insert_number(&insert, overview->stream_end_ns);
    else
        insert_null(&insert);
    insert_number(&insert, totals->allocated_bytes_error);
    insert_number(&insert, totals->peak_bytes_error);
    if (replay->teardown_ns == TEARDOWN_NONE)
        insert_null(&insert);
    else
        insert_number(&insert, replay->teardown_ns);
    const struct survivors *survivors = survivor_log_find(&replay->survivors, teardown_last_window(replay));
    if (survivors)
        insert_number(&insert, survivors->window_id);
    else
        insert_null(&insert);
    insert_row(&insert);
    return insert_end(&insert);
}

static int begins_with(const char *text, const char *beginning)
{
    return !strncmp(text, beginning, strlen(beginning));
}

/* What a bundle has brought along. */
static int write_sources(sqlite3 *database, const struct store_input *input)
{
    const struct definition_table *definitions = &input->replay->definitions;
    struct insert insert;
    insert_begin(&insert, database, "source", 2);
    for (uint32_t i = 0; i < definitions->property_count; i++)
        if (begins_with(definitions->properties[i].key, SOURCE_BUNDLE_PREFIX)) {
            insert_text(&insert, definitions->properties[i].key + strlen(SOURCE_BUNDLE_PREFIX));
            insert_text(&insert, definitions->properties[i].value);
            insert_row(&insert);
        }
    return insert_end(&insert);
}

static void write_number_property(struct insert *insert, const char *key, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    insert_text(insert, key);
    insert_text(insert, text);
    insert_row(insert);
}

static int write_properties(sqlite3 *database, const struct store_input *input)
{
    const struct definition_table *definitions = &input->replay->definitions;
    struct insert insert;
    insert_begin(&insert, database, "property", 2);
    for (uint32_t i = 0; i < definitions->property_count; i++) {
        if (begins_with(definitions->properties[i].key, SYMBOL_BUNDLE_PREFIX) || begins_with(definitions->properties[i].key, SOURCE_BUNDLE_PREFIX) ||
            begins_with(definitions->properties[i].key, OBJECT_SURVEYS_PREFIX))
            continue; /* it has become frames, a source, or objects */
        insert_text(&insert, definitions->properties[i].key);
        insert_text(&insert, definitions->properties[i].value);
        insert_row(&insert);
    }
    if (!input->replay->overview.has_end) {
        insert_text(&insert, STORE_ENDLESS_PROPERTY);
        insert_text(&insert, "yes");
        insert_row(&insert);
    }
    if (input->replay->overview.has_history)
        write_number_property(&insert, STORE_HISTORY_PROPERTY, input->replay->overview.history_end_ns);
    if (replay_knows_errors(input->replay)) {
        insert_text(&insert, STORE_COUNT_ERRORS_PROPERTY);
        insert_text(&insert, "yes");
        insert_row(&insert);
    }
    if (input->cache_key) {
        insert_text(&insert, STORE_KEY_PROPERTY);
        insert_text(&insert, input->cache_key);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static int write_objects(sqlite3 *database, const struct store_input *input)
{
    return object_surveys_write(database, &input->replay->definitions);
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
    insert_begin(&insert, database, "window", 4);
    for (uint32_t i = 0; i < replay->window_count; i++) {
        insert_number(&insert, i);
        insert_number(&insert, replay->windows[i].end_time_ns);
        insert_number(&insert, replay->windows[i].heap_bytes);
        insert_number(&insert, replay->windows[i].event_count);
        insert_row(&insert);
    }
    return insert_end(&insert);
}

static int write_small_tables(sqlite3 *database, const struct store_input *input)
{
    static int (*const writers[])(sqlite3 *, const struct store_input *) = {
        write_summary, write_properties, write_sources, write_objects, write_threads_and_modules, write_timeline,
    };
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        int status = writers[i](database, input);
        if (status)
            return status;
    }
    return STATUS_OK;
}

static int run(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK ? STATUS_OK : STATUS_DATABASE;
}

static int write_schema(sqlite3 *database, const struct store_input *input)
{
    /* The file has no readers and no value before it is complete: no journal, no waiting for the disk. */
    int status = run(database, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; PRAGMA locking_mode = EXCLUSIVE; "
                               "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
    if (!status)
        status = run(database, schema_sql);
    if (!status)
        status = write_small_tables(database, input);
    if (!status)
        status = run(database, schema_views_sql);
    return status ? status : run(database, "COMMIT");
}

static int write_through_sqlite(const char *path, const struct store_input *input, struct store_roots *roots, struct status_detail *detail)
{
    sqlite3 *database = NULL;
    int status = STATUS_DATABASE;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
        status = write_schema(database, input);
    if (!status)
        status = store_roots_find(database, roots);
    if (status)
        snprintf(detail->message, sizeof detail->message, "cannot write the report database: %s", sqlite3_errmsg(database));
    if (sqlite3_close(database) != SQLITE_OK && !status)
        status = STATUS_DATABASE;
    return detail->status = status;
}

int store_write(const char *path, const struct store_input *input, struct status_detail *detail)
{
    struct store_roots roots;
    struct page_file pages;
    int status = write_through_sqlite(path, input, &roots, detail);
    if (status)
        return status;
    status = page_file_open(&pages, path);
    if (!status) {
        status = store_tables_write(&pages, &roots, input);
        int close_status = page_file_close(&pages);
        status = status ? status : close_status;
    }
    if (status)
        *detail = (struct status_detail){status, 0, "cannot write the report database"};
    return status;
}
