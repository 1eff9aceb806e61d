/* Finds and ranks leak candidates: see leak_rows.h. */
#include "leak_rows.h"

#include <stdlib.h>
#include <string.h>

#include "count_interval.h"
#include "leak_groups.h"
#include "leak_imports.h"
#include "leak_owner.h"
#include "memory.h"
#include "object_rows.h"

/* Keys of rows: 0 what has no line, 1 what no stack owns, then one for each line. */
#define KEY_UNKNOWN 0
#define KEY_SLACK 1
#define KEY_FIRST 2

struct loading {
    sqlite3 *database;
    struct suppressions *suppressions;
    struct leak_rows *rows;
    uint32_t *line_keys, key_count; /* by frame id */
    uint32_t *stack_keys;           /* by stack index: its row + KEY_FIRST; NOT_KEYED */
    uint32_t *row_of_key;           /* NOT_KEYED */
    uint8_t *came_once;             /* by stack index: through an import, and without growth since */
    int64_t row_capacity;
    int64_t allocations;            /* of all stacks */
    int window_total;
};
#define NOT_KEYED UINT32_MAX

/* Lines of libraries count a tenth; so do lines that keep only 0.2 % of what they allocate. */
#define FOREIGN_WEIGHT 0.1
/* Idle: less than this share of the usual number of events, at the end; before that there are windows enough to judge growth by. */
#define IDLE_SHARE 0.02
#define LEAST_ACTIVE 12
#define USUAL_KEPT 0.02
/* What int64_t holds as nanoseconds: some 285 years. */
#define LONGEST_SECONDS 9e9

static int by_size(const void *a, const void *b)
{
    return (*(const int64_t *)a > *(const int64_t *)b) - (*(const int64_t *)a < *(const int64_t *)b);
}

/* `events`: of each window that is judged. What is usual is told by the busier windows after warm-up, but not by the busiest. */
static void find_idle(struct leak_rows *rows, const int64_t *events)
{
    int warm = growth_warm_window(rows->window_count), active = rows->window_count, count = rows->window_count - warm - 1;
    if (count < 1)
        return;
    int64_t *sorted = memory_new((size_t)count, sizeof *sorted);
    memcpy(sorted, events + warm + 1, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, by_size);
    double least = IDLE_SHARE * (double)sorted[count - 1 - count / 4];
    free(sorted);
    /* What a program does that is told to end, before it frees what it holds, is no work. */
    if (rows->teardown_ns >= 0 && (double)events[active - 2] < least)
        active--;
    while (active > LEAST_ACTIVE && (double)events[active - 1] < least)
        active--;
    if (active == rows->window_count || (double)events[active - 1] < least)
        return;
    rows->active_count = active;
    rows->idle_ns = (int64_t)(rows->seconds[active - 1] * 1e9);
}

static void load_windows(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    int64_t count = query_integer(loading->database, "SELECT count(*) FROM window");
    int64_t teardown_ns = query_integer(loading->database, "SELECT coalesce(teardown_ns, -1) FROM summary");
    rows->seconds = memory_new((size_t)count, sizeof *rows->seconds);
    rows->teardown_ns = teardown_ns;
    int64_t *events = memory_new((size_t)count, sizeof *events), before = 0;
    sqlite3_stmt *row = query_prepare(loading->database, "SELECT end_time_ns, event_count FROM window ORDER BY window_id");
    while (query_step(row)) {
        int64_t end_ns = sqlite3_column_int64(row, 0);
        loading->window_total++;
        if (teardown_ns >= 0 && end_ns > teardown_ns && rows->window_count)
            continue;
        events[rows->window_count] = sqlite3_column_int64(row, 1) - before;
        before = sqlite3_column_int64(row, 1);
        rows->seconds[rows->window_count++] = (double)end_ns / 1e9;
        rows->judged_ns = end_ns;
    }
    rows->idle_ns = -1;
    rows->active_count = rows->window_count;
    /* Where the last events are not listed, nobody knows when they were. */
    if (!query_integer(loading->database, "SELECT stream_end_ns IS NOT NULL FROM summary"))
        find_idle(rows, events);
    free(events);
    if (!rows->window_count)
        rows->judged_ns = query_integer(loading->database, "SELECT duration_ns FROM summary");
}

static struct leak_row *append_row(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    if (rows->count == loading->row_capacity) {
        loading->row_capacity = 2 * loading->row_capacity + 64;
        rows->rows = memory_resize(rows->rows, (size_t)loading->row_capacity, sizeof *rows->rows);
    }
    rows->rows[rows->count] = (struct leak_row){.oldest_ns = -1, .newest_ns = -1, .limit_ns = -1};
    return &rows->rows[rows->count++];
}

int leak_is_own(const struct set_frame *frame)
{
    return frame->origin && (!strcmp(frame->origin, "user") || !strcmp(frame->origin, "native"));
}

/* The number of the row of a stack; NOT_KEYED: it is suppressed, or not to be counted. */
static uint32_t row_of_stack(struct loading *loading, int64_t stack_id)
{
    const struct stack_set *set = &loading->rows->set;
    uint32_t index = stack_set_index(set, stack_id);
    uint32_t frame_id = leak_owner(set, index);
    uint32_t key = stack_id < 0 ? KEY_SLACK : frame_id ? KEY_FIRST + loading->line_keys[frame_id] : KEY_UNKNOWN;
    if (loading->row_of_key[key] == NOT_KEYED) {
        struct leak_row *row = append_row(loading);
        row->frame_id = frame_id;
        row->is_foreign = !leak_is_own(&set->frames[frame_id]);
        row->stack_id = stack_id;
        loading->row_of_key[key] = (uint32_t)(loading->rows->count - 1);
    }
    return loading->row_of_key[key];
}

/* What every stack allocated and held at the end. */
static void load_uses(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    int64_t end_ns = query_integer(loading->database, "SELECT duration_ns FROM summary");
    sqlite3_stmt *use = query_prepare(loading->database, "SELECT stack_id, allocations, live_bytes, live_allocations, oldest_live_ns, newest_live_ns, "
                                                         COUNT_ERROR_COLUMNS " FROM stack_use LEFT JOIN stack_error USING (stack_id) WHERE allocations > 0 OR live_bytes > 0 OR live_allocations > 0");
    while (query_step(use)) {
        int64_t stack_id = sqlite3_column_int64(use, 0);
        uint32_t index = stack_set_index(&rows->set, stack_id), number = row_of_stack(loading, stack_id);
        struct leak_row *row = &rows->rows[number];
        loading->allocations += sqlite3_column_int64(use, 1);
        int64_t end_bytes = sqlite3_column_int64(use, 2), end_allocations = sqlite3_column_int64(use, 3);
        if (suppressions_match(loading->suppressions, &rows->set, index, end_bytes, end_allocations))
            continue;
        loading->stack_keys[index] = number;
        row->allocations += sqlite3_column_int64(use, 1);
        row->end_bytes += end_bytes;
        row->end_allocations += end_allocations;
        struct count_error error = count_error_read(use, 6);
        count_error_add(&row->error, &error);
        if (sqlite3_column_type(use, 4) == SQLITE_NULL)
            continue;
        int64_t oldest_ns = end_ns - sqlite3_column_int64(use, 4), newest_ns = end_ns - sqlite3_column_int64(use, 5);
        if (oldest_ns > row->oldest_ns)
            row->oldest_ns = oldest_ns;
        if (row->newest_ns < 0 || newest_ns < row->newest_ns)
            row->newest_ns = newest_ns;
    }
}

static void place_series(struct leak_rows *rows)
{
    size_t width = (size_t)rows->window_count;
    rows->series = memory_new(4 * width * (size_t)rows->count, sizeof *rows->series);
    for (int64_t i = 0; i < rows->count; i++) {
        struct leak_row *row = &rows->rows[i];
        row->bytes = rows->series + 4 * width * (size_t)i;
        row->blocks = row->bytes + width;
        row->judged_bytes = row->blocks + width;
        row->judged_blocks = row->judged_bytes + width;
    }
}

/* Which stacks are of modules that were imported once. */
static void find_imported(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    loading->came_once = leak_find_imports(&rows->set);
    uint8_t *rises = memory_new(rows->set.stack_count, sizeof *rises);
    sqlite3_stmt *span = query_prepare(loading->database, "SELECT stack_id, live_bytes, first_window_id FROM live_span WHERE stack_id >= 0 "
                                                          "ORDER BY stack_id, first_window_id");
    int64_t last_id = -1, last_bytes = 0;
    while (query_step(span)) {
        int64_t stack_id = sqlite3_column_int64(span, 0), bytes = sqlite3_column_int64(span, 1);
        uint32_t index = stack_set_index(&rows->set, stack_id);
        if (stack_id != last_id)
            last_bytes = 0;
        if (sqlite3_column_int64(span, 2) < rows->window_count && bytes > last_bytes && rises[index] <= LEAK_IMPORT_RISES)
            rises[index]++;
        last_id = stack_id;
        last_bytes = bytes;
    }
    for (uint32_t index = 0; index < rows->set.stack_count; index++)
        if (loading->came_once[index] == LEAK_WHILE_IMPORTING && rises[index] > LEAK_IMPORT_RISES)
            loading->came_once[index] = 0;
    free(rises);
}

static void count_as_judged(struct leak_row *row, int64_t first, int64_t last, int64_t bytes, int64_t blocks)
{
    for (int64_t window = first; window <= last; window++) {
        row->judged_bytes[window] += (double)bytes;
        row->judged_blocks[window] += (double)blocks;
    }
}

/* Windows in which a stack held nothing are in no span. */
static void load_spans(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    find_imported(loading);
    sqlite3_stmt *span = query_prepare(loading->database, "SELECT stack_id, first_window_id, last_window_id, live_bytes, live_allocations FROM live_span "
                                                          "WHERE stack_id >= 0 ORDER BY stack_id, first_window_id");
    while (query_step(span)) {
        int64_t stack_id = sqlite3_column_int64(span, 0), first = sqlite3_column_int64(span, 1), last = sqlite3_column_int64(span, 2);
        int64_t bytes = sqlite3_column_int64(span, 3);
        int64_t blocks = sqlite3_column_int64(span, 4);
        uint32_t index = stack_set_index(&rows->set, stack_id), number = loading->stack_keys[index];
        if (number == NOT_KEYED)
            continue;
        struct leak_row *row = &rows->rows[number];
        for (int64_t window = first < 0 ? 0 : first; window <= last && window < rows->window_count; window++) {
            row->bytes[window] += (double)bytes;
            row->blocks[window] += (double)blocks;
        }
        if (!loading->came_once[index])
            count_as_judged(row, first < 0 ? 0 : first, last < rows->window_count ? last : rows->window_count - 1, bytes, blocks);
        else if (first < rows->window_count && last >= rows->window_count - 1)
            count_as_judged(row, 0, rows->window_count - 1, bytes, blocks);
        if (first >= rows->window_count || last < rows->window_count - 1)
            continue;
        row->stack_count++;
        if (bytes > row->stack_bytes) {
            row->stack_bytes = bytes;
            row->stack_id = stack_id;
        }
    }
}

/* Counted a while before the lines are judged, at worst; then it says less of the youngest blocks. */
static void load_births(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    rows->knows_errors = count_errors_known(loading->database);
    rows->grain_bytes = (double)query_integer(loading->database, "SELECT sampling_interval_bytes FROM summary");
    rows->run_seconds = (double)query_integer(loading->database, "SELECT duration_ns FROM summary") / 1e9;
    rows->knows_births = query_integer(loading->database, "SELECT survivor_window_id IS NOT NULL AND stream_end_ns IS NULL FROM summary") != 0;
    sqlite3_stmt *born = query_prepare(loading->database, "SELECT stack_id, born_0, born_1, born_2, born_3, born_4, born_5, born_6, born_7 FROM survivor");
    while (query_step(born)) {
        uint32_t index = stack_set_index(&rows->set, sqlite3_column_int64(born, 0)), number = loading->stack_keys[index];
        for (int part = 0; number != NOT_KEYED && part < LEAK_BORN_PARTS; part++)
            rows->rows[number].born[loading->came_once[index] ? 0 : part] += (double)sqlite3_column_int64(born, part + 1);
    }
}

/* Arenas hold more than the objects in them: what is left of the heap. */
static void load_slack(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    if (loading->row_of_key[KEY_SLACK] == NOT_KEYED || loading->stack_keys[stack_set_index(&rows->set, -1)] == NOT_KEYED)
        return;
    struct leak_row *row = &rows->rows[loading->row_of_key[KEY_SLACK]];
    row->stack_id = -1;
    if (rows->window_count < loading->window_total || !rows->window_count) {
        row->live_bytes = 0; /* of an earlier moment only the sum is known, and suppressed stacks are not in it */
        return;
    }
    row->live_bytes = row->end_bytes;
}

static double laplace(int64_t allocations, int64_t live)
{
    double frees = (double)(allocations - live);
    double score = 1 - (frees + 1) / ((double)live + 2);
    return frees < 0 ? 0 : score > 0 ? score : 0;
}

int64_t leak_limit_ns(const struct leak_rows *rows, double bytes_per_second)
{
    double room = (double)(rows->limit_bytes - rows->resident_bytes);
    if (!rows->limit_bytes || bytes_per_second <= 0 || room / bytes_per_second > LONGEST_SECONDS)
        return -1;
    return room <= 0 ? 0 : (int64_t)(room / bytes_per_second * 1e9);
}

/* A program that has nothing to do keeps what it leaked, which then looks like a cache that is full. */
static void judge_until_idle(const struct leak_rows *rows, struct leak_row *row, struct growth_series *series)
{
    struct growth growth;
    series->count = rows->active_count;
    growth_judge(series, &growth);
    if (growth.confidence < LEAK_CONFIDENT || row->bytes[rows->window_count - 1] < growth.end_bytes)
        return;
    row->grew_until_idle = 1;
    row->growth = growth;
    row->growth.confidence *= LEAK_UNTIL_IDLE;
}

static struct count_error judged_error(const struct leak_row *row)
{
    struct count_error judged = {.live = row->error.live, .largest_block = row->error.largest_block};
    if (row->live_allocations != row->end_allocations && row->allocations > 0)
        judged.live = row->error.allocations * (double)row->live_allocations / (double)row->allocations;
    return judged;
}

int leak_count_interval(const struct leak_rows *rows, const struct count_error *judged, int64_t live_allocations, struct estimate_interval *ret_interval)
{
    *ret_interval = count_interval_of(judged, LIVE_ALLOCATIONS, live_allocations);
    return rows->knows_errors && ret_interval->low != ret_interval->high;
}

static int is_python(const struct leak_rows *rows, const struct leak_row *row)
{
    const char *kind = rows->set.frames[row->frame_id].kind;
    return kind && !strcmp(kind, "python");
}

static void judge(struct leak_rows *rows, struct leak_row *row)
{
    struct growth_series series = {
        .seconds = rows->seconds, .bytes = row->judged_bytes, .blocks = row->judged_blocks, .count = rows->window_count,
        .born = rows->knows_births ? row->born : NULL, .born_count = LEAK_BORN_PARTS, .run_seconds = rows->run_seconds,
        .is_python = is_python(rows, row), .grain_bytes = rows->grain_bytes,
    };
    if (row->stack_id < 0 || !rows->window_count)
        return;
    row->live_bytes = (int64_t)row->bytes[rows->window_count - 1];
    row->live_allocations = (int64_t)row->blocks[rows->window_count - 1];
    row->judged = judged_error(row);
    row->laplace_score = laplace(row->allocations, row->live_allocations);
    growth_judge(&series, &row->growth);
    if (rows->idle_ns >= 0 && row->growth.confidence < LEAK_CONFIDENT)
        judge_until_idle(rows, row, &series);
    if (row->growth.confidence >= LEAK_CONFIDENT)
        row->limit_ns = leak_limit_ns(rows, row->growth.bytes_per_second);
}

static double score(const struct leak_row *row)
{
    return row->stack_id < 0 ? 0 : (double)row->live_bytes * (row->growth.confidence + 0.05);
}

/* By what rows that grow are ordered: growth a second, where three of them belong to one leak, the program's own line first.
 *
 * Libraries and the interpreter hold what the program makes them hold (the stacks of its threads, the strings of its requests). And CPython hands
 * dicts, lists, floats and tuples that were freed to the next line that wants one, without freeing or allocating: a leak of such objects
 * shows where they were made first, at lines that allocate very much and keep hardly any of it. */
static double pace(const struct leak_rows *rows, struct leak_row *row)
{
    double kept = row->allocations ? row->growth.blocks_per_second * (double)rows->judged_ns / 1e9 / (double)row->allocations : 1;
    row->is_carrier = kept > 0 && kept < USUAL_KEPT;
    double weight = row->is_foreign ? FOREIGN_WEIGHT : 1;
    return row->growth.bytes_per_second * weight * (row->is_carrier ? kept / USUAL_KEPT : 1);
}

/* Reported; not, but it grew as long as it could; neither. */
static int how_sure(const struct leak_row *row)
{
    return row->growth.confidence >= LEAK_CONFIDENT ? 2 : row->grew_until_idle;
}

static int compare_rows(const void *a, const void *b)
{
    const struct leak_row *left = a, *right = b;
    int left_grows = how_sure(left), right_grows = how_sure(right);
    if (left_grows != right_grows)
        return right_grows - left_grows;
    if (left_grows && left->pace != right->pace)
        return left->pace < right->pace ? 1 : -1;
    if (score(left) != score(right))
        return score(left) < score(right) ? 1 : -1;
    if (left->live_bytes != right->live_bytes)
        return left->live_bytes < right->live_bytes ? 1 : -1;
    return (left->stack_id > right->stack_id) - (left->stack_id < right->stack_id);
}

/* Judges all rows, and keeps those that held something. */
static void judge_all(struct loading *loading)
{
    struct leak_rows *rows = loading->rows;
    int64_t kept = 0, live_allocations = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        struct leak_row row = rows->rows[i];
        judge(rows, &row);
        row.pace = pace(rows, &row);
        rows->end_bytes += row.end_bytes;
        if (!row.live_bytes && !row.live_allocations && !row.end_bytes && !row.end_allocations)
            continue;
        rows->live_bytes += row.live_bytes;
        live_allocations += row.live_allocations;
        if (row.growth.confidence >= LEAK_CONFIDENT) {
            rows->confident_count++;
            rows->growth_bytes_per_second += row.growth.bytes_per_second;
        }
        rows->held_count += row.grew_until_idle;
        rows->rows[kept++] = row;
    }
    rows->count = kept;
    rows->survival = loading->allocations ? (double)live_allocations / (double)loading->allocations : 0;
    if (kept)
        qsort(rows->rows, (size_t)kept, sizeof *rows->rows, compare_rows);
    leak_groups_find(rows);
}

static void load_limit(struct loading *loading, uint64_t limit_bytes)
{
    struct leak_rows *rows = loading->rows;
    rows->limit_bytes = (int64_t)limit_bytes;
    if (!rows->limit_bytes)
        rows->limit_bytes = query_integer(loading->database, "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM property WHERE key = "
                                                             "'cgroup_memory_limit_bytes'), 0)");
    sqlite3_stmt *level = query_prepare(loading->database, "SELECT coalesce(rss_bytes, heap_bytes) FROM timeline WHERE time_ns <= ?1 ORDER BY time_ns DESC LIMIT 1");
    sqlite3_bind_int64(level, 1, rows->judged_ns);
    while (query_step(level))
        rows->resident_bytes = sqlite3_column_int64(level, 0);
}

void leak_rows_load(sqlite3 *database, struct suppressions *suppressions, uint64_t limit_bytes, struct leak_rows *ret_rows)
{
    struct leak_rows rows = {0};
    struct loading loading = {.database = database, .suppressions = suppressions, .rows = &rows};
    stack_set_load(database, &rows.set);
    loading.line_keys = stack_set_keys(database, &rows.set, SET_BY_LINE, &loading.key_count);
    loading.row_of_key = memory_new(loading.key_count + (size_t)KEY_FIRST, sizeof *loading.row_of_key);
    loading.stack_keys = memory_new(rows.set.stack_count, sizeof *loading.stack_keys);
    memset(loading.row_of_key, 0xff, (loading.key_count + (size_t)KEY_FIRST) * sizeof *loading.row_of_key);
    memset(loading.stack_keys, 0xff, rows.set.stack_count * sizeof *loading.stack_keys);
    load_windows(&loading);
    load_limit(&loading, limit_bytes);
    load_uses(&loading);
    place_series(&rows);
    load_spans(&loading);
    load_births(&loading);
    load_slack(&loading);
    judge_all(&loading);
    free(loading.line_keys);
    free(loading.row_of_key);
    free(loading.stack_keys);
    free(loading.came_once);
    *ret_rows = rows;
}

const struct object_line *leak_objects(const struct leak_rows *rows, const struct leak_row *row)
{
    const struct set_frame *frame = &rows->set.frames[row->frame_id];
    const struct object_line *line = object_rows_find(rows->objects, frame->file ? frame->file : frame->module, frame->line);
    return line ? line : object_rows_of_stack(rows->objects, rows->database, row->stack_id);
}

void leak_rows_free(struct leak_rows *rows)
{
    free(rows->rows);
    free(rows->seconds);
    free(rows->series);
    if (rows->set.stacks)
        stack_set_free(&rows->set);
    *rows = (struct leak_rows){0};
}
