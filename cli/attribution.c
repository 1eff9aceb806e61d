/* Credits stacks by another rule: temporary tables hide those of the report database (attribution.h). */
#include "attribution.h"

#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "count_interval.h"
#include "frames.h"
#include "line_rows.h"
#include "memory.h"
#include "paths.h"
#include "stack_set.h"

static const char *const names[] = {
    [ATTRIBUTE_LINE] = "line", [ATTRIBUTE_FUNCTION] = "function", [ATTRIBUTE_PYTHON] = "python", [ATTRIBUTE_NATIVE] = "native",
    [ATTRIBUTE_MODULE] = "module", [ATTRIBUTE_TAG] = "tag",
};

enum attribution attribution_parse(const struct reading *reading)
{
    if (!reading->by)
        return ATTRIBUTE_LINE;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (!strcmp(reading->by, names[i]))
            return (enum attribution)i;
    fail_usage(reading->command->name, "%s: --by is line, function, python, native, module or tag, not '%s'", reading->command->name, reading->by);
}

const char *attribution_name(enum attribution by)
{
    return names[by];
}

const char *attribution_title(enum attribution by)
{
    static const char *const titles[] = {
        [ATTRIBUTE_LINE] = "By line", [ATTRIBUTE_FUNCTION] = "By function", [ATTRIBUTE_PYTHON] = "By Python line",
        [ATTRIBUTE_NATIVE] = "By native line", [ATTRIBUTE_MODULE] = "By module", [ATTRIBUTE_TAG] = "By tag",
    };
    return titles[by];
}

const char *attribution_column(enum attribution by)
{
    return by == ATTRIBUTE_FUNCTION ? "file" : attribution_noun(by);
}

const char *attribution_noun(enum attribution by)
{
    return by == ATTRIBUTE_FUNCTION || by == ATTRIBUTE_MODULE || by == ATTRIBUTE_TAG ? names[by] : "line";
}

struct row_sums {
    int64_t measures[MEASURE_COUNT];
    struct count_error error;
};

struct credit {
    sqlite3 *database;
    enum attribution by;
    struct stack_set set;
    uint8_t *is_tagged;          /* by stack: it is under the tag that was asked for; NULL: all are */
    uint32_t *keys, key_count;   /* by frame id: its row */
    uint32_t *credited;          /* by stack: the frame */
    uint32_t *key_frames;        /* by row: the first frame credited to it; 0: none yet */
    struct row_sums *sums, *most;/* by row: all its stacks, and the largest of each measure */
    int64_t *heaviest;           /* by row and measure: the stack that has it */
    uint32_t *seen_by;           /* by row: the last stack that counted for it (inclusive) */
};

static int is_kind(const struct set_frame *frame, const char *kind)
{
    return frame->kind && !strcmp(frame->kind, kind);
}

static int begins_with_any(const char *text, const char *const *beginnings, size_t count)
{
    for (size_t i = 0; text && i < count; i++)
        if (!strncmp(text, beginnings[i], strlen(beginnings[i])))
            return 1;
    return 0;
}

/* Code of the language's library that was compiled into the program: std::vector, Vec. Without a line, its name tells. */
static int is_library_source(const struct set_frame *frame)
{
    static const char *const folders[] = {"/usr/include/", "/usr/lib/gcc/", "/usr/lib/llvm", "/rustc/"};
    static const char *const namespaces[] = {"std::", "__gnu_cxx::", "alloc::", "core::", "<std::", "<alloc::", "<core::"};
    if (!frame->file)
        return begins_with_any(frame->function, namespaces, ARRAY_LENGTH(namespaces));
    return begins_with_any(frame->file, folders, ARRAY_LENGTH(folders)) || strstr(frame->file, "/rustlib/src/rust/library/");
}

static int is_runtime(const struct set_frame *frame)
{
    return frame->module && frame_origin_is_runtime(frame->module);
}

/* The frame that the rule picks on this stack, given what it picked for the caller's; 0: none yet. */
static uint32_t pick(const struct stack_set *set, enum attribution by, const struct set_stack *stack, uint32_t callers)
{
    const struct set_frame *frame = &set->frames[stack->frame];
    if (!stack->frame)
        return callers;
    if (by == ATTRIBUTE_PYTHON || by == ATTRIBUTE_TAG)
        return is_kind(frame, by == ATTRIBUTE_TAG ? "tag" : "python") ? stack->frame : callers;
    if (is_kind(frame, "python"))
        return stack->frame; /* what is further out called Python, and allocated nothing here */
    return is_kind(frame, "native") && !is_runtime(frame) && !is_library_source(frame) ? stack->frame : callers;
}

uint32_t *attribution_frames(const struct stack_set *set, enum attribution by)
{
    int is_native = by == ATTRIBUTE_NATIVE || by == ATTRIBUTE_MODULE;
    int picks = is_native || by == ATTRIBUTE_PYTHON || by == ATTRIBUTE_TAG;
    uint32_t *credited = memory_new(set->stack_count, sizeof *credited);
    for (uint32_t i = SET_EMPTY + 1; picks && i < set->stack_count; i++)
        credited[i] = pick(set, by, &set->stacks[i], credited[set->stacks[i].caller]);
    /* Only now: what a stack falls back on is no pick of those that it called. */
    for (uint32_t i = 0; i < set->stack_count; i++)
        if (!credited[i] && by == ATTRIBUTE_TAG && i >= SET_EMPTY)
            credited[i] = set->untagged_frame;
        else if (!credited[i])
            credited[i] = is_native && set->stacks[i].frame ? set->stacks[i].frame : set->stacks[i].line_frame;
    return credited;
}

static void add_stack(struct credit *credit, uint32_t frame, uint32_t stack, const struct row_sums *use)
{
    uint32_t key = credit->keys[frame];
    if (!credit->key_frames[key])
        credit->key_frames[key] = frame;
    count_error_add(&credit->sums[key].error, &use->error);
    for (int m = 0; m < MEASURE_COUNT; m++) {
        credit->sums[key].measures[m] += use->measures[m];
        if (use->measures[m] > credit->most[key].measures[m]) {
            credit->most[key].measures[m] = use->measures[m];
            credit->heaviest[(size_t)key * MEASURE_COUNT + (size_t)m] = credit->set.ids[stack];
        }
    }
}

static int counts(const struct credit *credit, uint32_t frame)
{
    if (credit->by == ATTRIBUTE_PYTHON)
        return is_kind(&credit->set.frames[frame], "python");
    if (credit->by == ATTRIBUTE_TAG)
        return is_kind(&credit->set.frames[frame], "tag");
    return credit->by != ATTRIBUTE_NATIVE || is_kind(&credit->set.frames[frame], "native");
}

/* Every row that the stack is on, once. */
static void add_whole_stack(struct credit *credit, uint32_t stack, const struct row_sums *use)
{
    int any = 0;
    for (uint32_t at = stack;; at = credit->set.stacks[at].caller) {
        uint32_t frame = credit->set.stacks[at].frame;
        if (frame && counts(credit, frame)) {
            any = 1;
            if (credit->seen_by[credit->keys[frame]] != stack + 1)
                add_stack(credit, frame, stack, use);
            credit->seen_by[credit->keys[frame]] = stack + 1;
        }
        if (at <= SET_EMPTY)
            break;
    }
    if (!any)
        add_stack(credit, credit->credited[stack], stack, use);
}

static void begin_table(struct credit *credit)
{
    credit->key_frames = memory_new(credit->key_count, sizeof *credit->key_frames);
    credit->sums = memory_new(credit->key_count, sizeof *credit->sums);
    credit->most = memory_new(credit->key_count, sizeof *credit->most);
    credit->heaviest = memory_new((size_t)credit->key_count * MEASURE_COUNT, sizeof *credit->heaviest);
    credit->seen_by = memory_new(credit->key_count, sizeof *credit->seen_by);
}

static void end_table(struct credit *credit)
{
    free(credit->key_frames);
    free(credit->sums);
    free(credit->most);
    free(credit->heaviest);
    free(credit->seen_by);
}

static void add_uses(struct credit *credit, int inclusive)
{
    sqlite3_stmt *row = query_prepare(credit->database,
                                      "SELECT stack_id, peak_bytes, peak_allocations, live_bytes, live_allocations, allocated_bytes, "
                                      "allocations, temporary_allocations, copied_bytes, copies, " COUNT_ERROR_COLUMNS
                                      " FROM stack_use LEFT JOIN stack_error USING (stack_id)");
    while (query_step(row)) {
        uint32_t index = stack_set_index(&credit->set, sqlite3_column_int64(row, 0));
        struct row_sums use;
        if (credit->is_tagged && !credit->is_tagged[index])
            continue;
        for (int m = 0; m < MEASURE_COUNT; m++)
            use.measures[m] = sqlite3_column_int64(row, 1 + m);
        use.error = count_error_read(row, 1 + MEASURE_COUNT);
        if (inclusive)
            add_whole_stack(credit, index, &use);
        else
            add_stack(credit, credit->credited[index], index, &use);
    }
}

static void execute(sqlite3 *database, const char *sql)
{
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(CLI_SYSTEM, "cannot make a temporary table: %s", sqlite3_errmsg(database));
}

static void insert(sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE)
        fail(CLI_SYSTEM, "cannot fill a temporary table: %s", sqlite3_errmsg(sqlite3_db_handle(statement)));
    sqlite3_reset(statement);
}

/* ?1 to ?5: rowid, file, line, function, kind; ?6: origin; then the measures. */
static void insert_row(const struct credit *credit, sqlite3_stmt *statement, uint32_t key)
{
    const struct set_frame *frame = &credit->set.frames[credit->key_frames[key]];
    const char *module = frame->module ? frame->module : frame->file;
    int is_module = credit->by == ATTRIBUTE_MODULE, has_line = !is_module && credit->by != ATTRIBUTE_FUNCTION && frame->file && frame->line > 0;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_text(statement, 2, is_module || !frame->file ? module : frame->file, -1, SQLITE_STATIC);
    if (has_line)
        sqlite3_bind_int64(statement, 3, frame->line);
    else
        sqlite3_bind_null(statement, 3);
    sqlite3_bind_text(statement, 4, is_module && module ? NULL : frame->function, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 5, frame->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 6, frame->origin, -1, SQLITE_STATIC);
    for (int m = 0; m < MEASURE_COUNT; m++)
        sqlite3_bind_int64(statement, 7 + m, credit->sums[key].measures[m]);
    insert(statement);
}

static void insert_heaviest(const struct credit *credit, sqlite3_stmt *statement, uint32_t key)
{
    sqlite3_bind_int64(statement, 1, key);
    for (int m = 0; m < MEASURE_COUNT; m++)
        if (credit->most[key].measures[m])
            sqlite3_bind_int64(statement, 2 + m, credit->heaviest[(size_t)key * MEASURE_COUNT + (size_t)m]);
        else
            sqlite3_bind_null(statement, 2 + m);
    insert(statement);
}

static void insert_error(sqlite3_stmt *statement, uint32_t key, const struct count_error *error)
{
    const double figures[] = {error->peak, error->live, error->allocations, error->copies, error->largest_block, error->largest_copy};
    sqlite3_bind_int64(statement, 1, key);
    for (int i = 0; i < (int)ARRAY_LENGTH(figures); i++)
        sqlite3_bind_double(statement, 2 + i, figures[i]);
    insert(statement);
}

static void write_lines(const struct credit *credit, int inclusive)
{
    execute(credit->database, inclusive ? "CREATE TEMP TABLE line_use_inclusive AS SELECT * FROM main.line_use_inclusive WHERE 0;"
                                          "CREATE TEMP TABLE line_error_inclusive (line_id INTEGER PRIMARY KEY, " COUNT_ERROR_COLUMNS ")"
                                        : "CREATE TEMP TABLE line_use AS SELECT * FROM main.line_use WHERE 0;"
                                          "CREATE TEMP TABLE line_error (line_id INTEGER PRIMARY KEY, " COUNT_ERROR_COLUMNS ");"
                                          "CREATE TEMP TABLE line_stack AS SELECT * FROM main.line_stack WHERE 0");
    sqlite3_stmt *row = query_prepare(credit->database,
                                      inclusive ? "INSERT INTO temp.line_use_inclusive (rowid, file, line, function, kind, origin, peak_bytes, "
                                                  "peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, "
                                                  "temporary_allocations, copied_bytes, copies) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
                                                : "INSERT INTO temp.line_use (rowid, file, line, function, kind, origin, peak_bytes, "
                                                  "peak_allocations, live_bytes, live_allocations, allocated_bytes, allocations, "
                                                  "temporary_allocations, copied_bytes, copies) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    sqlite3_stmt *error = query_prepare(credit->database, inclusive ? "INSERT INTO temp.line_error_inclusive VALUES (?,?,?,?,?,?,?)"
                                                                    : "INSERT INTO temp.line_error VALUES (?,?,?,?,?,?,?)");
    sqlite3_stmt *heaviest = inclusive ? NULL : query_prepare(credit->database, "INSERT INTO temp.line_stack VALUES (?,?,?,?,?,?,?,?,?,?)");
    execute(credit->database, "BEGIN");
    for (uint32_t key = 0; key < credit->key_count; key++)
        if (credit->key_frames[key]) {
            insert_row(credit, row, key);
            insert_error(error, key, &credit->sums[key].error);
            if (heaviest)
                insert_heaviest(credit, heaviest, key);
        }
    execute(credit->database, "COMMIT");
    sqlite3_finalize(row);
    sqlite3_finalize(error);
    sqlite3_finalize(heaviest);
}

/* ---- tags ---- */

static void find_tagged(struct credit *credit, const struct reading *reading)
{
    const struct stack_set *set = &credit->set;
    int any = 0;
    credit->is_tagged = memory_new(set->stack_count, 1);
    for (uint32_t i = SET_EMPTY + 1; i < set->stack_count; i++) {
        const struct set_frame *frame = &set->frames[set->stacks[i].frame];
        credit->is_tagged[i] = credit->is_tagged[set->stacks[i].caller] || (is_kind(frame, "tag") && !strcmp(frame->function, reading->tag));
        any |= credit->is_tagged[i];
    }
    if (!any)
        fail_usage(reading->command->name, "%s: nothing was allocated under the tag '%s'; 'heapline lines --by tag' shows the tags there are",
                   reading->command->name, reading->tag);
}

/* From here on only they are there. */
static void keep_tagged(const struct credit *credit)
{
    execute(credit->database, "CREATE TEMP TABLE tagged (stack_id INTEGER PRIMARY KEY)");
    sqlite3_stmt *row = query_prepare(credit->database, "INSERT INTO temp.tagged VALUES (?1)");
    execute(credit->database, "BEGIN");
    for (uint32_t i = 0; i < credit->set.stack_count; i++)
        if (credit->is_tagged[i]) {
            sqlite3_bind_int64(row, 1, credit->set.ids[i]);
            insert(row);
        }
    sqlite3_finalize(row);
    execute(credit->database, "COMMIT;"
                              "CREATE TEMP TABLE stack_use AS SELECT * FROM main.stack_use WHERE stack_id IN (SELECT stack_id FROM temp.tagged)");
}

void attribution_apply(const struct reading *reading, sqlite3 *database, enum attribution by, int inclusive)
{
    struct credit credit = {.database = database, .by = by};
    if (by == ATTRIBUTE_LINE && !reading->tag)
        return;
    stack_set_load(database, &credit.set);
    if (reading->tag)
        find_tagged(&credit, reading);
    credit.credited = attribution_frames(&credit.set, by);
    credit.keys = stack_set_keys(database, &credit.set,
                                 by == ATTRIBUTE_FUNCTION ? SET_BY_FUNCTION : by == ATTRIBUTE_MODULE ? SET_BY_MODULE : SET_BY_LINE,
                                 &credit.key_count);
    for (int table = 0; table <= inclusive; table++) {
        begin_table(&credit);
        add_uses(&credit, table);
        write_lines(&credit, table);
        end_table(&credit);
    }
    if (reading->tag)
        keep_tagged(&credit);
    free(credit.is_tagged);
    free(credit.keys);
    free(credit.credited);
    stack_set_free(&credit.set);
}
