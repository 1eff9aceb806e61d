/* Walks stacks in the report database and lists them: see stack_rows.h. */
#include "stack_rows.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "count_interval.h"
#include "estimate.h"
#include "units.h"

#define FRAME_LINES 24 /* of a stack in text */

void stack_walker_init(struct stack_walker *walker, sqlite3 *database)
{
    *walker = (struct stack_walker){0};
    walker->step = query_prepare(database, "SELECT stack.caller_id, kind, function, file, line, module, origin, depth FROM stack "
                                           "LEFT JOIN frame USING (frame_id) WHERE stack_id = ?1");
}

static void clear_frames(struct stack_frames *frames)
{
    for (int i = 0; i < frames->count; i++) {
        struct stack_frame *frame = &frames->frames[i];
        free(frame->kind);
        free(frame->function);
        free(frame->file);
        free(frame->module);
        free(frame->origin);
    }
    frames->count = frames->python_count = frames->python_end = 0;
}

void stack_walker_done(struct stack_walker *walker)
{
    clear_frames(&walker->frames);
    free(walker->frames.frames);
    sqlite3_finalize(walker->step);
}

static void append_frame(struct stack_frames *frames, sqlite3_stmt *row)
{
    if ((frames->count & (frames->count - 1)) == 0) {
        size_t capacity = frames->count ? 2 * (size_t)frames->count : 1;
        /* Shrinks too when a shorter stack comes after a long one: realloc keeps what is used. */
        frames->frames = memory_resize(frames->frames, capacity, sizeof *frames->frames);
    }
    frames->frames[frames->count++] = (struct stack_frame){
        .kind = query_text_copy(row, 1),
        .function = query_text_copy(row, 2),
        .file = query_text_copy(row, 3),
        .line = sqlite3_column_int64(row, 4),
        .module = query_text_copy(row, 5),
        .origin = query_text_copy(row, 6),
    };
    const char *kind = frames->frames[frames->count - 1].kind;
    if (kind && !strcmp(kind, "python")) {
        frames->python_count++;
        frames->python_end = frames->count;
    }
}

const struct stack_frames *stack_walk(struct stack_walker *walker, int64_t stack_id)
{
    int64_t last_depth = INT64_MAX;
    clear_frames(&walker->frames);
    while (stack_id != 0) {
        sqlite3_reset(walker->step);
        sqlite3_bind_int64(walker->step, 1, stack_id);
        if (sqlite3_step(walker->step) != SQLITE_ROW)
            break;
        int64_t caller_id = sqlite3_column_int64(walker->step, 0), depth = sqlite3_column_int64(walker->step, 7);
        if (sqlite3_column_type(walker->step, 1) != SQLITE_NULL)
            append_frame(&walker->frames, walker->step);
        /* Callers are less deep: a damaged database cannot lead in a circle. Pseudo stacks (below 0) have no caller. */
        stack_id = stack_id > 0 && caller_id > 0 && depth < last_depth ? caller_id : 0;
        last_depth = depth;
    }
    sqlite3_reset(walker->step);
    return &walker->frames;
}

void stack_frames_json(const struct stack_frames *frames, struct json *json)
{
    json_array(json, "frames");
    for (int i = 0; i < frames->count; i++) {
        const struct stack_frame *frame = &frames->frames[i];
        json_object(json, NULL);
        json_text(json, "kind", frame->kind);
        json_text(json, "function", frame->function);
        json_text(json, "file", frame->file);
        json_line(json, "line", frame->line);
        json_text(json, "module", frame->module);
        json_object_end(json);
    }
    json_array_end(json);
}

static char *listing_sql(const struct stack_listing *listing)
{
    const char *bytes = measures[listing->bytes].name, *count = measures[listing->count].name;
    return memory_format("SELECT stack_id, %s, %s, " COUNT_ERROR_COLUMNS " FROM stack_use LEFT JOIN stack_error USING (stack_id) WHERE %s > 0 OR %s > 0 ORDER BY %s DESC, %s DESC, stack_id", bytes, count,
                         bytes, count, bytes, count);
}

/* What is known of how far the figures may be from the truth. */
struct intervals {
    int64_t sampling_interval_bytes; /* 0: they are exact */
    int knows_errors;                /* of counts */
};

static void write_intervals(const struct intervals *intervals, const struct stack_listing *listing, sqlite3_stmt *row, struct json *json)
{
    int64_t bytes = sqlite3_column_int64(row, 1), count = sqlite3_column_int64(row, 2);
    struct count_error error = count_error_read(row, 3);
    json_object(json, ESTIMATE_KEY);
    estimate_json(json, "bytes", estimate_of_bytes(bytes, count, intervals->sampling_interval_bytes));
    if (intervals->knows_errors)
        estimate_json(json, listing->count_field, count_interval_of(&error, listing->count, count));
    json_object_end(json);
}

/* Behind the stack's share. */
static void print_count(const struct terminal *terminal, const struct intervals *intervals, const struct stack_listing *listing, sqlite3_stmt *row)
{
    int64_t bytes = sqlite3_column_int64(row, 1), count = sqlite3_column_int64(row, 2);
    struct count_error error = count_error_read(row, 3);
    if (!count)
        return;
    struct estimate_interval interval = count_interval_of(&error, listing->count, count);
    terminal_print(terminal, STYLE_DIM, "  in %s", units_noun(count, listing->count_word).text);
    if (intervals->knows_errors && interval.low != interval.high)
        terminal_print(terminal, STYLE_DIM, " (%s)", estimate_count_text(interval).text);
    if (intervals->sampling_interval_bytes)
        terminal_print(terminal, STYLE_DIM, "  95 %%: %s",
                       estimate_bytes_text(estimate_of_bytes(bytes, count, intervals->sampling_interval_bytes)).text);
}

void stack_listing_json(const struct reading *reading, sqlite3 *database, const struct stack_listing *listing, struct json *json)
{
    struct stack_walker walker;
    char *sql = listing_sql(listing);
    sqlite3_stmt *row = query_prepare(database, sql);
    int64_t limit = reading_limit(reading, 0), written = 0;
    struct intervals intervals = {query_sampling_interval(database), count_errors_known(database)};
    free(sql);
    stack_walker_init(&walker, database);
    json_array(json, "stacks");
    while (query_step(row)) {
        if (limit && written++ >= limit) {
            sqlite3_finalize(row);
            break;
        }
        json_object(json, NULL);
        json_integer(json, "bytes", sqlite3_column_int64(row, 1));
        json_integer(json, listing->count_field, sqlite3_column_int64(row, 2));
        if (intervals.sampling_interval_bytes)
            write_intervals(&intervals, listing, row, json);
        stack_frames_json(stack_walk(&walker, sqlite3_column_int64(row, 0)), json);
        json_object_end(json);
    }
    json_array_end(json);
    stack_walker_done(&walker);
}

void stack_listing_print(const struct reading *reading, sqlite3 *database, const struct stack_listing *listing, int64_t limit,
                         int64_t total_bytes)
{
    const struct terminal *terminal = &reading->terminal;
    struct stack_walker walker;
    char *sql = listing_sql(listing);
    sqlite3_stmt *row = query_prepare(database, sql);
    int64_t seen = 0, more_bytes = 0;
    struct intervals intervals = {query_sampling_interval(database), count_errors_known(database)};
    free(sql);
    stack_walker_init(&walker, database);
    while (query_step(row)) {
        int64_t bytes = sqlite3_column_int64(row, 1);
        if (limit && seen++ >= limit) {
            more_bytes += bytes;
            continue;
        }
        terminal_print(terminal, STYLE_BOLD, "%10s", units_bytes(bytes).text);
        fprintf(terminal->out, "  %6s", units_share((double)bytes, (double)total_bytes).text);
        print_count(terminal, &intervals, listing, row);
        fputc('\n', terminal->out);
        stack_frames_print(reading, stack_walk(&walker, sqlite3_column_int64(row, 0)), FRAME_LINES);
    }
    if (limit && seen > limit)
        terminal_print(terminal, STYLE_DIM, "%10s  %6s  in %s (--limit 0 shows all)\n", units_bytes(more_bytes).text,
                       units_share((double)more_bytes, (double)total_bytes).text, units_noun(seen - limit, "further stack").text);
    stack_walker_done(&walker);
}
