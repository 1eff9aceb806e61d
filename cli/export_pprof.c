/* The export 'pprof': a gzipped message `Profile` of github.com/google/pprof/proto/profile.proto, symbols resolved.
 *
 * Samples have the values of Go's heap profiles: everything allocated, and what was in use at one moment (--cost: the peak or the end).
 * A location is a row of `frame`; native ones belong to a mapping, by which its build id is known. Labels name the process
 * and, of a process with several of which the trace tells (thread_uses.h), the thread. */
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "export.h"
#include "gzip.h"
#include "memory.h"
#include "paths.h"
#include "protobuf.h"
#include "summary.h"
#include "text.h"
#include "text_index.h"
#include "thread_uses.h"

enum profile_field {
    PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE, PROFILE_MAPPING, PROFILE_LOCATION, PROFILE_FUNCTION, PROFILE_STRING_TABLE,
    PROFILE_TIME_NANOS = 9, PROFILE_DURATION_NANOS, PROFILE_PERIOD_TYPE, PROFILE_PERIOD, PROFILE_COMMENT, PROFILE_DEFAULT_SAMPLE_TYPE,
};
enum value_type_field { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT };
enum sample_field { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE, SAMPLE_LABEL };
enum label_field { LABEL_KEY = 1, LABEL_STR, LABEL_NUM };
enum mapping_field { MAPPING_ID = 1, MAPPING_FILENAME = 5, MAPPING_BUILD_ID, MAPPING_HAS_FUNCTIONS, MAPPING_HAS_FILENAMES, MAPPING_HAS_LINES,
                     MAPPING_HAS_INLINE };
enum location_field { LOCATION_ID = 1, LOCATION_MAPPING_ID, LOCATION_LINE = 4 };
enum line_field { LINE_FUNCTION_ID = 1, LINE_LINE };
enum function_field { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME, FUNCTION_FILENAME };

#define VALUE_COUNT 4

struct pprof {
    struct output_buffer profile, message, inner;
    struct text_index strings, functions, mappings; /* functions: name, file; mappings: path, build id; parted by a line break */
    int64_t location_count;
    int64_t *values; /* a stack's location ids */
};

/* String 0 is the empty one. */
static int64_t string_of(struct pprof *pprof, const char *text)
{
    char *clean = text_clean(text ? text : "", 1);
    int64_t number = text_index_of(&pprof->strings, clean);
    free(clean);
    return number;
}

static void append_message(struct pprof *pprof, unsigned field)
{
    protobuf_message(&pprof->profile, field, &pprof->message);
    output_buffer_clear(&pprof->message);
}

static void append_inner(struct pprof *pprof, unsigned field)
{
    protobuf_message(&pprof->message, field, &pprof->inner);
    output_buffer_clear(&pprof->inner);
}

static void write_value_type(struct pprof *pprof, unsigned field, const char *type, const char *unit)
{
    protobuf_integer(&pprof->message, VALUE_TYPE_TYPE, string_of(pprof, type));
    protobuf_integer(&pprof->message, VALUE_TYPE_UNIT, string_of(pprof, unit));
    append_message(pprof, field);
}

/* ---- mappings, functions, locations: each once, when it is first needed ---- */

/* 1, 2, 3 …; *ret_is_new: it has to be written. */
static int64_t id_of(struct text_index *index, const char *first, const char *second, int *ret_is_new)
{
    size_t count = index->count;
    char *text = memory_format("%s\n%s", first ? first : "", second ? second : "");
    int64_t id = (int64_t)text_index_of(index, text) + 1;
    free(text);
    *ret_is_new = index->count > count;
    return id;
}

static int64_t write_mapping(struct pprof *pprof, const char *path, const char *build_id)
{
    int is_new;
    int64_t id = id_of(&pprof->mappings, path, build_id, &is_new);
    if (!is_new)
        return id;
    protobuf_integer(&pprof->message, MAPPING_ID, id);
    protobuf_integer(&pprof->message, MAPPING_FILENAME, string_of(pprof, path));
    protobuf_integer(&pprof->message, MAPPING_BUILD_ID, string_of(pprof, build_id));
    for (unsigned field = MAPPING_HAS_FUNCTIONS; field <= MAPPING_HAS_INLINE; field++) /* so that nobody looks for symbols again */
        protobuf_integer(&pprof->message, field, 1);
    append_message(pprof, PROFILE_MAPPING);
    return id;
}

static int64_t write_function(struct pprof *pprof, const char *name, const char *file)
{
    int is_new;
    int64_t id = id_of(&pprof->functions, name, file, &is_new);
    if (!is_new)
        return id;
    protobuf_integer(&pprof->message, FUNCTION_ID, id);
    protobuf_integer(&pprof->message, FUNCTION_NAME, string_of(pprof, name));
    protobuf_integer(&pprof->message, FUNCTION_SYSTEM_NAME, string_of(pprof, name));
    protobuf_integer(&pprof->message, FUNCTION_FILENAME, string_of(pprof, file));
    append_message(pprof, PROFILE_FUNCTION);
    return id;
}

/* malloc'ed; NULL: not known. */
static char *build_id_of(sqlite3_stmt *query, const char *path)
{
    char *build_id = NULL;
    sqlite3_reset(query);
    sqlite3_bind_text(query, 1, path, -1, SQLITE_STATIC);
    if (sqlite3_step(query) == SQLITE_ROW)
        build_id = query_text_copy(query, 0);
    sqlite3_reset(query);
    return build_id;
}

static int64_t write_location(struct pprof *pprof, const struct set_frame *frame, sqlite3_stmt *build_ids)
{
    int64_t mapping = 0, function = write_function(pprof, frame->function ? frame->function : "?", frame->file);
    if (frame->module) {
        char *build_id = build_id_of(build_ids, frame->module);
        mapping = write_mapping(pprof, frame->module, build_id);
        free(build_id);
    }
    protobuf_integer(&pprof->inner, LINE_FUNCTION_ID, function);
    protobuf_integer(&pprof->inner, LINE_LINE, frame->line);
    append_inner(pprof, LOCATION_LINE);
    protobuf_integer(&pprof->message, LOCATION_ID, ++pprof->location_count);
    protobuf_integer(&pprof->message, LOCATION_MAPPING_ID, mapping);
    append_message(pprof, PROFILE_LOCATION);
    return pprof->location_count;
}

/* ---- samples ---- */

static void write_label(struct pprof *pprof, const char *key, const char *text, int64_t number)
{
    protobuf_integer(&pprof->inner, LABEL_KEY, string_of(pprof, key));
    protobuf_integer(&pprof->inner, LABEL_STR, text ? string_of(pprof, text) : 0);
    protobuf_integer(&pprof->inner, LABEL_NUM, number);
    append_inner(pprof, SAMPLE_LABEL);
}

static const char *process_name(const struct summary *summary)
{
    return paths_base(summary->executable ? summary->executable : "(unknown program)");
}

struct process_samples {
    struct stack_set set;
    struct summary summary;
    uint32_t *frames, capacity;
    int64_t *locations; /* by frame id; 0: none yet */
    sqlite3_stmt *build_ids, *threads;
    struct thread_uses uses;
};

static void write_thread_labels(struct pprof *pprof, const struct process_samples *samples, uint32_t thread_id)
{
    sqlite3_reset(samples->threads);
    sqlite3_bind_int64(samples->threads, 1, thread_id);
    if (sqlite3_step(samples->threads) != SQLITE_ROW)
        return;
    char *name = query_text_copy(samples->threads, 1);
    int64_t kernel_id = sqlite3_column_int64(samples->threads, 0);
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)kernel_id);
    write_label(pprof, "thread", name && *name ? name : number, 0);
    write_label(pprof, "tid", NULL, kernel_id);
    free(name);
}

/* `thread_id` below 0: not known. */
static void write_values(struct pprof *pprof, const struct process_samples *samples, const int64_t *values, uint32_t frame_count, int64_t thread_id)
{
    protobuf_integers(&pprof->message, SAMPLE_LOCATION_ID, pprof->values, frame_count);
    protobuf_integers(&pprof->message, SAMPLE_VALUE, values, VALUE_COUNT);
    write_label(pprof, "process", process_name(&samples->summary), 0);
    write_label(pprof, "pid", NULL, samples->summary.pid);
    if (thread_id >= 0)
        write_thread_labels(pprof, samples, (uint32_t)thread_id);
    append_message(pprof, PROFILE_SAMPLE);
}

static int any(const int64_t *values)
{
    for (int i = 0; i < VALUE_COUNT; i++)
        if (values[i])
            return 1;
    return 0;
}

/* A stack's values thread by thread; what no thread has is left over. */
static void divide_values(struct pprof *pprof, const struct process_samples *samples, int64_t stack_id, enum measure moment, int64_t *values, uint32_t frame_count)
{
    const struct thread_use *uses;
    size_t count = thread_uses_of(&samples->uses, stack_id, &uses);
    for (size_t i = 0; i < count; i++) {
        int is_live = moment == LIVE_BYTES;
        const int64_t own[VALUE_COUNT] = {uses[i].allocations, uses[i].allocated_bytes, is_live ? uses[i].live_allocations : uses[i].peak_allocations,
                                          is_live ? uses[i].live_bytes : uses[i].peak_bytes};
        for (int k = 0; k < VALUE_COUNT; k++)
            values[k] -= own[k];
        if (any(own))
            write_values(pprof, samples, own, frame_count, uses[i].thread_id);
    }
}

static void write_sample(struct pprof *pprof, struct process_samples *samples, enum measure moment, sqlite3_stmt *row)
{
    int64_t values[VALUE_COUNT];
    uint32_t stack = stack_set_index(&samples->set, sqlite3_column_int64(row, 0));
    uint32_t count = export_frames(&samples->set, stack, samples->frames, samples->capacity);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t frame = samples->frames[count - 1 - i]; /* the leaf comes first */
        if (!samples->locations[frame])
            samples->locations[frame] = write_location(pprof, &samples->set.frames[frame], samples->build_ids);
        pprof->values[i] = samples->locations[frame];
    }
    if (!count)
        pprof->values[count++] = write_location(pprof, &(struct set_frame){.function = "(no stack)"}, samples->build_ids);
    for (int i = 0; i < VALUE_COUNT; i++)
        values[i] = sqlite3_column_int64(row, 1 + i);
    divide_values(pprof, samples, sqlite3_column_int64(row, 0), moment, values, count);
    if (any(values))
        write_values(pprof, samples, values, count, -1);
}

/* The first mapping is taken for the program itself. */
static void write_executable(struct pprof *pprof, struct process_samples *samples)
{
    if (!samples->summary.executable)
        return;
    char *build_id = build_id_of(samples->build_ids, samples->summary.executable);
    write_mapping(pprof, samples->summary.executable, build_id);
    free(build_id);
}

static void write_samples(struct pprof *pprof, const struct export *export, sqlite3 *database, struct process_samples *samples)
{
    char sql[256];
    const char *moment = export->cost->amount == LIVE_BYTES ? "live" : "peak";
    snprintf(sql, sizeof sql, "SELECT stack_id, allocations, allocated_bytes, %s_allocations, %s_bytes FROM stack_use "
             "WHERE allocations OR allocated_bytes OR %s_bytes OR %s_allocations ORDER BY stack_id", moment, moment, moment, moment);
    sqlite3_stmt *row = query_prepare(database, sql);
    while (query_step(row))
        write_sample(pprof, samples, export->cost->amount, row);
}

static void write_process(struct pprof *pprof, const struct export *export, const struct export_process *process)
{
    struct process_samples samples = {.build_ids = query_prepare(process->database, "SELECT build_id FROM module WHERE path = ?1 LIMIT 1"),
                                      .threads = query_prepare(process->database, "SELECT kernel_id, name FROM thread WHERE thread_id = ?1")};
    export_load_stacks(export, process->database, &samples.set);
    summary_load(process->database, &samples.summary);
    thread_uses_load(process->trace, process->database, &samples.summary, &samples.uses);
    write_executable(pprof, &samples);
    samples.capacity = export_max_depth(&samples.set);
    samples.frames = memory_new(samples.capacity, sizeof *samples.frames);
    samples.locations = memory_new(samples.set.frame_count, sizeof *samples.locations);
    pprof->values = memory_new(samples.capacity, sizeof *pprof->values);
    write_samples(pprof, export, process->database, &samples);
    free(pprof->values);
    free(samples.locations);
    free(samples.frames);
    thread_uses_free(&samples.uses);
    sqlite3_finalize(samples.build_ids);
    sqlite3_finalize(samples.threads);
    summary_free(&samples.summary);
    stack_set_free(&samples.set);
}

/* ---- the profile ---- */

static void write_comments(struct pprof *pprof, const struct export *export)
{
    int64_t numbers[EXPORT_MAX_NOTES + 3];
    size_t count = 0;
    char *notes[EXPORT_MAX_NOTES];
    int note_count = export_notes(export, notes);
    numbers[count++] = string_of(pprof, "heapline " HEAPLINE_VERSION);
    numbers[count++] = string_of(pprof, export->summary.command);
    numbers[count++] = string_of(pprof, export->cost->amount == LIVE_BYTES ? "in use: at the end" : "in use: at the high-water mark");
    for (int i = 0; i < note_count; i++) {
        numbers[count++] = string_of(pprof, notes[i]);
        free(notes[i]);
    }
    protobuf_integers(&pprof->profile, PROFILE_COMMENT, numbers, count);
}

static void write_header(struct pprof *pprof, const struct export *export)
{
    static const char *const types[VALUE_COUNT][2] = {
        {"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"}, {"inuse_space", "bytes"}};
    const struct summary *summary = &export->summary;
    string_of(pprof, "");
    for (int i = 0; i < VALUE_COUNT; i++)
        write_value_type(pprof, PROFILE_SAMPLE_TYPE, types[i][0], types[i][1]);
    write_value_type(pprof, PROFILE_PERIOD_TYPE, "space", "bytes");
    protobuf_integer(&pprof->profile, PROFILE_PERIOD, summary->sampling_interval_bytes ? summary->sampling_interval_bytes : 1);
    protobuf_integer(&pprof->profile, PROFILE_TIME_NANOS, summary->start_realtime_ns);
    protobuf_integer(&pprof->profile, PROFILE_DURATION_NANOS, summary->duration_ns);
    protobuf_integer(&pprof->profile, PROFILE_DEFAULT_SAMPLE_TYPE, string_of(pprof, "inuse_space"));
    write_comments(pprof, export);
}

void export_pprof(const struct export *export)
{
    struct pprof pprof = {0};
    struct output_buffer file = {0};
    if (export->cost->amount != PEAK_BYTES && export->cost->amount != LIVE_BYTES)
        fail_usage("export", "export: --cost says what 'in use' means in pprof: peak or live");
    write_header(&pprof, export);
    for (uint32_t i = 0; i < export->process_count; i++)
        write_process(&pprof, export, &export->processes[i]);
    for (size_t i = 0; i < pprof.strings.count; i++)
        protobuf_repeated_text(&pprof.profile, PROFILE_STRING_TABLE, pprof.strings.texts[i]);
    if (pprof.profile.has_failed || pprof.strings.has_failed || pprof.functions.has_failed || pprof.mappings.has_failed ||
        gzip_compress(pprof.profile.bytes, pprof.profile.count, &file))
        fail(CLI_SYSTEM, "export: not enough memory");
    fwrite(file.bytes, 1, file.count, export->out);
    output_buffer_free(&file);
    output_buffer_free(&pprof.profile);
    output_buffer_free(&pprof.message);
    output_buffer_free(&pprof.inner);
    text_index_free(&pprof.strings);
    text_index_free(&pprof.functions);
    text_index_free(&pprof.mappings);
}
