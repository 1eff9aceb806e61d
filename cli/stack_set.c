/* Loads stacks and frames: see stack_set.h. A damaged database cannot lead outside the arrays or in a circle. */
#include "stack_set.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS (INT64_C(1) << 31)

static void *allocate_rows(int64_t count, size_t bytes)
{
    if (count >= MAX_ROWS)
        fail(CLI_INPUT, "the report database is damaged: a number is too large (--rebuild makes a new one)");
    void *rows = calloc((size_t)count, bytes);
    if (!rows)
        abort();
    return rows;
}

static void load_frames(sqlite3 *database, struct stack_set *set)
{
    int64_t count = query_integer(database, "SELECT coalesce(max(frame_id), 0) FROM frame") + 1;
    set->frames = allocate_rows(count, sizeof *set->frames);
    set->frame_count = (uint32_t)count;
    sqlite3_stmt *row = query_prepare(database, "SELECT frame_id, kind, function, file, line, module, origin FROM frame WHERE frame_id > 0");
    while (query_step(row))
        set->frames[sqlite3_column_int64(row, 0)] = (struct set_frame){
            .kind = query_text_copy(row, 1),
            .function = query_text_copy(row, 2),
            .file = query_text_copy(row, 3),
            .line = sqlite3_column_int64(row, 4),
            .module = query_text_copy(row, 5),
            .origin = query_text_copy(row, 6),
        };
}

static uint32_t known_frame(const struct stack_set *set, int64_t frame_id)
{
    return frame_id > 0 && frame_id < set->frame_count ? (uint32_t)frame_id : 0;
}

static void load_stacks(sqlite3 *database, struct stack_set *set)
{
    int64_t count = query_integer(database, "SELECT max(coalesce(max(stack_id), 0), 0) FROM stack") + SET_SHIFT + 1;
    set->stacks = allocate_rows(count, sizeof *set->stacks);
    set->stack_count = (uint32_t)count;
    for (uint32_t i = 0; i < set->stack_count; i++)
        set->stacks[i].caller = SET_EMPTY;
    sqlite3_stmt *row = query_prepare(database, "SELECT stack_id, caller_id, frame_id, line_frame_id FROM stack WHERE stack_id >= -2");
    while (query_step(row)) {
        int64_t id = sqlite3_column_int64(row, 0), caller_id = sqlite3_column_int64(row, 1);
        set->stacks[id + SET_SHIFT] = (struct set_stack){
            .caller = caller_id > 0 && caller_id < id ? (uint32_t)(caller_id + SET_SHIFT) : SET_EMPTY,
            .frame = known_frame(set, sqlite3_column_int64(row, 2)),
            .line_frame = known_frame(set, sqlite3_column_int64(row, 3)),
        };
    }
}

void stack_set_load(sqlite3 *database, struct stack_set *ret_set)
{
    *ret_set = (struct stack_set){0};
    load_frames(database, ret_set);
    load_stacks(database, ret_set);
}

void stack_set_free(struct stack_set *set)
{
    for (uint32_t i = 0; i < set->frame_count; i++) {
        free(set->frames[i].kind);
        free(set->frames[i].function);
        free(set->frames[i].file);
        free(set->frames[i].module);
        free(set->frames[i].origin);
    }
    free(set->frames);
    free(set->stacks);
    *set = (struct stack_set){0};
}

uint32_t *stack_set_keys(sqlite3 *database, const struct stack_set *set, enum set_key by, uint32_t *ret_key_count)
{
    static const char *const queries[] = {
        [SET_BY_LINE] = "SELECT frame_id, dense_rank() OVER (ORDER BY coalesce(file, module), line, function, kind) FROM frame WHERE frame_id > 0",
        [SET_BY_FUNCTION] = "SELECT frame_id, dense_rank() OVER (ORDER BY coalesce(file, module), function, kind) FROM frame WHERE frame_id > 0",
        [SET_BY_MODULE] = "SELECT frame_id, dense_rank() OVER (ORDER BY coalesce(module, file, function)) FROM frame WHERE frame_id > 0",
    };
    uint32_t *keys = calloc(set->frame_count, sizeof *keys), count = 1;
    if (!keys)
        abort();
    sqlite3_stmt *row = query_prepare(database, queries[by]);
    while (query_step(row)) {
        uint32_t key = (uint32_t)sqlite3_column_int64(row, 1);
        keys[sqlite3_column_int64(row, 0)] = key;
        count = key >= count ? key + 1 : count;
    }
    *ret_key_count = count;
    return keys;
}
