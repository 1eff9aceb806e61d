/* The export 'parquet': a row a stack, with its process, the line it is credited to, all measures, and its frames as a list. One file a run, so that
 * the files of many runs are one table for DuckDB, Spark and their kin. */
#include <stdlib.h>

#include "compiler.h"
#include "count_interval.h"
#include "export.h"
#include "memory.h"
#include "parquet_writer.h"
#include "text.h"

/* What a sample knows the variances of, in the order of their columns. */
static const enum measure estimated[] = {PEAK_BYTES, PEAK_ALLOCATIONS, LIVE_BYTES, LIVE_ALLOCATIONS, ALLOCATED_BYTES, ALLOCATIONS, COPIED_BYTES, COPIES};

enum column {
    COLUMN_TRACE, COLUMN_PID, COLUMN_PARENT_PID, COLUMN_COMMAND, COLUMN_START_TIME, COLUMN_DURATION, COLUMN_COMPLETE, COLUMN_SAMPLING_INTERVAL,
    COLUMN_STACK_ID, COLUMN_KIND, COLUMN_FUNCTION, COLUMN_FILE, COLUMN_LINE, COLUMN_MODULE, COLUMN_ORIGIN,
    COLUMN_MEASURES,
    COLUMN_VARIANCES = COLUMN_MEASURES + MEASURE_COUNT,
    COLUMN_COUNT = COLUMN_VARIANCES + ARRAY_LENGTH(estimated),
    COLUMN_FRAME_KIND = COLUMN_COUNT, COLUMN_FRAME_FUNCTION, COLUMN_FRAME_FILE, COLUMN_FRAME_LINE, COLUMN_FRAME_MODULE,
};

static const struct parquet_column columns[COLUMN_COUNT] = {
    [COLUMN_TRACE] = {"trace", PARQUET_TEXT, 0},
    [COLUMN_PID] = {"pid", PARQUET_INTEGER, 0},
    [COLUMN_PARENT_PID] = {"parent_pid", PARQUET_INTEGER, 0},
    [COLUMN_COMMAND] = {"command", PARQUET_TEXT, 1},
    [COLUMN_START_TIME] = {"start_time", PARQUET_TIME_MICROSECONDS, 0},
    [COLUMN_DURATION] = {"duration_ns", PARQUET_INTEGER, 0},
    [COLUMN_COMPLETE] = {"complete", PARQUET_BOOLEAN, 0},
    [COLUMN_SAMPLING_INTERVAL] = {"sampling_interval_bytes", PARQUET_INTEGER, 0},
    [COLUMN_STACK_ID] = {"stack_id", PARQUET_INTEGER, 0},
    [COLUMN_KIND] = {"kind", PARQUET_TEXT, 1},
    [COLUMN_FUNCTION] = {"function", PARQUET_TEXT, 1},
    [COLUMN_FILE] = {"file", PARQUET_TEXT, 1},
    [COLUMN_LINE] = {"line", PARQUET_INTEGER, 1},
    [COLUMN_MODULE] = {"module", PARQUET_TEXT, 1},
    [COLUMN_ORIGIN] = {"origin", PARQUET_TEXT, 1},
    [COLUMN_MEASURES + PEAK_BYTES] = {"peak_bytes", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + PEAK_ALLOCATIONS] = {"peak_allocations", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + LIVE_BYTES] = {"live_bytes", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + LIVE_ALLOCATIONS] = {"live_allocations", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + ALLOCATED_BYTES] = {"allocated_bytes", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + ALLOCATIONS] = {"allocations", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + TEMPORARY_ALLOCATIONS] = {"temporary_allocations", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + COPIED_BYTES] = {"copied_bytes", PARQUET_INTEGER, 0},
    [COLUMN_MEASURES + COPIES] = {"copies", PARQUET_INTEGER, 0},
    [COLUMN_VARIANCES] = {"peak_bytes_variance", PARQUET_REAL, 1}, {"peak_allocations_variance", PARQUET_REAL, 1},
    {"live_bytes_variance", PARQUET_REAL, 1}, {"live_allocations_variance", PARQUET_REAL, 1},
    {"allocated_bytes_variance", PARQUET_REAL, 1}, {"allocations_variance", PARQUET_REAL, 1},
    {"copied_bytes_variance", PARQUET_REAL, 1}, {"copies_variance", PARQUET_REAL, 1},
};

static const struct parquet_column frame_columns[] = {
    {"kind", PARQUET_TEXT, 1}, {"function", PARQUET_TEXT, 1}, {"file", PARQUET_TEXT, 1}, {"line", PARQUET_INTEGER, 1}, {"module", PARQUET_TEXT, 1},
};

static const struct parquet_schema schema = {columns, COLUMN_COUNT, "frames", frame_columns, ARRAY_LENGTH(frame_columns)};

/* Of the query: the stack, its measures, and behind them these. */
#define FRAME_COLUMN (1 + MEASURE_COUNT)
#define ERROR_COLUMN (FRAME_COLUMN + 1)

struct process_rows {
    const char *trace;
    struct summary summary;
    int knows_errors;   /* of a sample's counts */
    struct stack_set set;
    uint32_t *frames, capacity;
};

static void write_text(struct parquet_writer *writer, size_t column, const char *text)
{
    char *clean = text ? text_clean(text, 1) : NULL;
    parquet_writer_text(writer, column, clean);
    free(clean);
}

static void write_line(struct parquet_writer *writer, size_t column, int64_t line)
{
    if (line > 0)
        parquet_writer_integer(writer, column, line);
    else
        parquet_writer_null(writer, column);
}

static void write_process(struct parquet_writer *writer, const struct process_rows *process)
{
    const struct summary *summary = &process->summary;
    write_text(writer, COLUMN_TRACE, process->trace);
    parquet_writer_integer(writer, COLUMN_PID, summary->pid);
    parquet_writer_integer(writer, COLUMN_PARENT_PID, summary->parent_pid);
    write_text(writer, COLUMN_COMMAND, summary->command);
    parquet_writer_integer(writer, COLUMN_START_TIME, summary->start_realtime_ns / 1000);
    parquet_writer_integer(writer, COLUMN_DURATION, summary->duration_ns);
    parquet_writer_integer(writer, COLUMN_COMPLETE, summary->complete);
    parquet_writer_integer(writer, COLUMN_SAMPLING_INTERVAL, summary->sampling_interval_bytes);
}

static void write_frames(struct parquet_writer *writer, const struct process_rows *process, uint32_t stack)
{
    uint32_t count = export_frames(&process->set, stack, process->frames, process->capacity);
    for (uint32_t i = count; i-- > 0;) { /* innermost first */
        const struct set_frame *frame = &process->set.frames[process->frames[i]];
        write_text(writer, COLUMN_FRAME_KIND, frame->kind);
        write_text(writer, COLUMN_FRAME_FUNCTION, frame->function);
        write_text(writer, COLUMN_FRAME_FILE, frame->file);
        write_line(writer, COLUMN_FRAME_LINE, frame->file ? frame->line : 0);
        write_text(writer, COLUMN_FRAME_MODULE, frame->module);
        parquet_writer_element_end(writer);
    }
}

/* Of bytes in blocks of nobody's, which is arena slack, it isn't known. */
static int find_variance(const struct process_rows *process, sqlite3_stmt *row, enum measure measure, double *ret_variance)
{
    int64_t interval_bytes = process->summary.sampling_interval_bytes, figure = sqlite3_column_int64(row, 1 + (int)measure);
    *ret_variance = 0;
    if (!interval_bytes)
        return 1;
    if (!measures[measure].is_bytes) {
        struct count_error error = count_error_read(row, ERROR_COLUMN);
        *ret_variance = count_error_variance(&error, measure);
        return process->knows_errors;
    }
    int64_t count = sqlite3_column_int64(row, 2 + (int)measure);
    *ret_variance = estimate_bytes_variance((double)figure, (double)count, interval_bytes);
    return !figure || count;
}

static void write_variances(struct parquet_writer *writer, const struct process_rows *process, sqlite3_stmt *row)
{
    double variance;
    for (size_t i = 0; i < ARRAY_LENGTH(estimated); i++)
        if (find_variance(process, row, estimated[i], &variance))
            parquet_writer_real(writer, COLUMN_VARIANCES + i, variance);
        else
            parquet_writer_null(writer, COLUMN_VARIANCES + i);
}

static void write_row(struct parquet_writer *writer, const struct process_rows *process, sqlite3_stmt *row)
{
    static const struct set_frame none = {0};
    int64_t frame_id = sqlite3_column_int64(row, FRAME_COLUMN);
    const struct set_frame *credited = frame_id > 0 && frame_id < process->set.frame_count ? &process->set.frames[frame_id] : &none;
    write_process(writer, process);
    parquet_writer_integer(writer, COLUMN_STACK_ID, sqlite3_column_int64(row, 0));
    write_text(writer, COLUMN_KIND, credited->kind);
    write_text(writer, COLUMN_FUNCTION, credited->function);
    write_text(writer, COLUMN_FILE, credited->file);
    write_line(writer, COLUMN_LINE, credited->file ? credited->line : 0);
    write_text(writer, COLUMN_MODULE, credited->module);
    write_text(writer, COLUMN_ORIGIN, credited->origin);
    for (int i = 0; i < MEASURE_COUNT; i++)
        parquet_writer_integer(writer, COLUMN_MEASURES + (size_t)i, sqlite3_column_int64(row, 1 + i));
    write_variances(writer, process, row);
    write_frames(writer, process, stack_set_index(&process->set, sqlite3_column_int64(row, 0)));
    parquet_writer_row_end(writer);
}

static void check(int status)
{
    if (status)
        fail(CLI_SYSTEM, "export: not enough memory");
}

static void pour(const struct export *export, struct output_buffer *out)
{
    fwrite(out->bytes, 1, out->count, export->out);
    output_buffer_clear(out);
}

static void write_rows(struct parquet_writer *writer, const struct export *export, const struct export_process *process, struct output_buffer *out)
{
    struct process_rows rows = {.trace = process->trace, .knows_errors = count_errors_known(process->database)};
    summary_load(process->database, &rows.summary);
    export_load_stacks(export, process->database, &rows.set);
    rows.capacity = export_max_depth(&rows.set);
    rows.frames = memory_new(rows.capacity, sizeof *rows.frames);
    sqlite3_stmt *row = query_prepare(process->database,
                                      "SELECT stack_use.stack_id, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, "
                                      "allocations, temporary_allocations, copied_bytes, copies, line_frame_id, " COUNT_ERROR_COLUMNS
                                      " FROM stack_use LEFT JOIN stack USING (stack_id) LEFT JOIN stack_error USING (stack_id) ORDER BY stack_use.stack_id");
    while (query_step(row)) {
        write_row(writer, &rows, row);
        if (!parquet_writer_is_full(writer))
            continue;
        check(parquet_writer_flush(writer, out));
        pour(export, out);
    }
    free(rows.frames);
    stack_set_free(&rows.set);
    summary_free(&rows.summary);
}

void export_parquet(const struct export *export)
{
    struct output_buffer out = {0};
    char *notes[EXPORT_MAX_NOTES];
    struct parquet_writer *writer = parquet_writer_new(&schema);
    if (!writer)
        memory_exhausted();
    for (uint32_t i = 0; i < export->process_count; i++)
        write_rows(writer, export, &export->processes[i], &out);
    int note_count = export_notes(export, notes);
    for (int i = 0; i < note_count; i++) {
        parquet_writer_note(writer, "heapline.note", notes[i]);
        free(notes[i]);
    }
    check(parquet_writer_finish(writer, &out, "heapline version " HEAPLINE_VERSION));
    pour(export, &out);
    parquet_writer_free(writer);
    output_buffer_free(&out);
}
