/* Loads stacks and frames: see stack_set.h. A damaged database cannot lead outside the arrays or in a circle. */
#include "stack_set.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "paths.h"

#define MAX_ROWS (INT64_C(1) << 31)

static void *allocate_rows(int64_t count, size_t bytes)
{
    if (count >= MAX_ROWS)
        fail(CLI_INPUT, "the report database is damaged: a number is too large (--rebuild makes a new one)");
    return memory_new((size_t)count, bytes);
}

static void load_frames(sqlite3 *database, struct stack_set *set)
{
    int64_t count = query_integer(database, "SELECT coalesce(max(frame_id), 0) FROM frame") + 1;
    set->frames = allocate_rows(count + 1, sizeof *set->frames);
    set->frame_count = (uint32_t)count + 1;
    set->untagged_frame = (uint32_t)count;
    set->frames[count] = (struct set_frame){.kind = memory_copy("tag"), .function = memory_copy("(no tag)"), .origin = memory_copy("system")};
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
    return frame_id > 0 && frame_id < set->untagged_frame ? (uint32_t)frame_id : 0;
}

struct loaded_stack {
    int64_t id, caller_id;
    uint32_t depth, frame, line_frame;
};

static int compare_depths(const void *a, const void *b)
{
    const struct loaded_stack *left = a, *right = b;
    return left->depth != right->depth ? (left->depth > right->depth) - (left->depth < right->depth)
                                       : (left->id > right->id) - (left->id < right->id);
}

/* Stacks with a frame of their own. Returns how many there are. */
static uint32_t load_rows(sqlite3 *database, const struct stack_set *set, struct loaded_stack *rows, int64_t capacity)
{
    uint32_t count = 0;
    sqlite3_stmt *row = query_prepare(database, "SELECT stack_id, caller_id, frame_id, line_frame_id, depth FROM stack WHERE stack_id > 0");
    while (query_step(row)) {
        int64_t depth = sqlite3_column_int64(row, 4);
        if (count < capacity)
            rows[count++] = (struct loaded_stack){
                .id = sqlite3_column_int64(row, 0),
                .caller_id = sqlite3_column_int64(row, 1),
                .depth = depth > 0 && depth < MAX_ROWS ? (uint32_t)depth : 0,
                .frame = known_frame(set, sqlite3_column_int64(row, 2)),
                .line_frame = known_frame(set, sqlite3_column_int64(row, 3)),
            };
    }
    if (count)
        qsort(rows, count, sizeof *rows, compare_depths);
    return count;
}

static void load_pseudo_stacks(sqlite3 *database, struct stack_set *set)
{
    sqlite3_stmt *row = query_prepare(database, "SELECT stack_id, frame_id, line_frame_id FROM stack WHERE stack_id BETWEEN -2 AND 0");
    while (query_step(row)) {
        int64_t id = sqlite3_column_int64(row, 0);
        set->stacks[id + SET_EMPTY].frame = known_frame(set, sqlite3_column_int64(row, 1));
        set->stacks[id + SET_EMPTY].line_frame = known_frame(set, sqlite3_column_int64(row, 2));
    }
    for (uint32_t i = 0; i <= SET_EMPTY; i++) {
        set->stacks[i].caller = SET_EMPTY;
        set->indexes[i] = i;
        set->ids[i] = (int64_t)i - SET_EMPTY;
    }
}

static void load_stacks(sqlite3 *database, struct stack_set *set)
{
    int64_t capacity = query_integer(database, "SELECT count(*) FROM stack WHERE stack_id > 0");
    set->id_count = query_integer(database, "SELECT max(coalesce(max(stack_id), 0), 0) FROM stack") + SET_EMPTY + 1;
    struct loaded_stack *rows = allocate_rows(capacity + 1, sizeof *rows);
    set->indexes = allocate_rows(set->id_count, sizeof *set->indexes);
    set->stacks = allocate_rows(capacity + SET_EMPTY + 1, sizeof *set->stacks);
    set->ids = allocate_rows(capacity + SET_EMPTY + 1, sizeof *set->ids);
    for (int64_t i = 0; i < set->id_count; i++)
        set->indexes[i] = SET_EMPTY;
    load_pseudo_stacks(database, set);
    uint32_t count = load_rows(database, set, rows, capacity);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = i + SET_EMPTY + 1;
        set->stacks[index] = (struct set_stack){stack_set_index(set, rows[i].caller_id), rows[i].frame, rows[i].line_frame};
        set->ids[index] = rows[i].id;
        set->indexes[rows[i].id + SET_EMPTY] = index;
    }
    set->stack_count = count + SET_EMPTY + 1;
    free(rows);
}

uint32_t stack_set_index(const struct stack_set *set, int64_t stack_id)
{
    return stack_id >= -SET_EMPTY && stack_id < set->id_count - SET_EMPTY ? set->indexes[stack_id + SET_EMPTY] : SET_EMPTY;
}

void stack_set_load(sqlite3 *database, struct stack_set *ret_set)
{
    *ret_set = (struct stack_set){0};
    load_frames(database, ret_set);
    load_stacks(database, ret_set);
}

enum { PYTHON_OUTSIDE = 1, PYTHON_INSIDE = 2 };

static int is_python(const struct set_frame *frame)
{
    return frame->kind && !strcmp(frame->kind, "python");
}

static int is_of_interpreter(const struct set_frame *frame, unsigned python)
{
    if (!frame->kind || strcmp(frame->kind, "native") || !python)
        return 0;
    return paths_is_interpreter(frame->module) || (!(python & PYTHON_OUTSIDE) && frame->origin && !strcmp(frame->origin, "system"));
}

/* Of each stack: whether its callers run Python, and whether any stack on top of it does. */
static uint8_t *find_python(const struct stack_set *set)
{
    uint8_t *python = memory_new(set->stack_count, 1);
    for (uint32_t i = SET_EMPTY + 1; i < set->stack_count; i++) {
        uint32_t caller = set->stacks[i].caller;
        python[i] = (python[caller] & PYTHON_OUTSIDE) || is_python(&set->frames[set->stacks[caller].frame]) ? PYTHON_OUTSIDE : 0;
    }
    for (uint32_t i = set->stack_count - 1; i > SET_EMPTY; i--)
        if (python[i] & PYTHON_INSIDE || is_python(&set->frames[set->stacks[i].frame]))
            python[set->stacks[i].caller] |= PYTHON_INSIDE;
    return python;
}

uint8_t *stack_set_find_interpreter(const struct stack_set *set)
{
    uint8_t *python = find_python(set);
    for (uint32_t i = 0; i < set->stack_count; i++)
        python[i] = i > SET_EMPTY && is_of_interpreter(&set->frames[set->stacks[i].frame], python[i]);
    return python;
}

void stack_set_fold_interpreter(struct stack_set *set)
{
    uint8_t *folds = stack_set_find_interpreter(set);
    uint32_t *kept = memory_new(set->stack_count, sizeof *kept);
    for (uint32_t i = 0; i < set->stack_count; i++) {
        struct set_stack *stack = &set->stacks[i];
        stack->caller = i > SET_EMPTY ? kept[stack->caller] : stack->caller;
        kept[i] = folds[i] ? stack->caller : i;
        if (folds[i])
            stack->frame = stack->line_frame = 0;
    }
    for (int64_t i = SET_EMPTY + 1; i < set->id_count; i++)
        set->indexes[i] = kept[set->indexes[i]];
    free(kept);
    free(folds);
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
    free(set->ids);
    free(set->indexes);
    *set = (struct stack_set){0};
}

uint32_t *stack_set_keys(sqlite3 *database, const struct stack_set *set, enum set_key by, uint32_t *ret_key_count)
{
    static const char *const queries[] = {
        [SET_BY_LINE] = "SELECT frame_id, dense_rank() OVER (ORDER BY coalesce(file, module), line, function, kind) FROM frame WHERE frame_id > 0",
        [SET_BY_FUNCTION] = "SELECT frame_id, dense_rank() OVER (ORDER BY coalesce(file, module), function, kind) FROM frame WHERE frame_id > 0",
        [SET_BY_MODULE] = "SELECT frame_id, dense_rank() OVER (ORDER BY coalesce(module, file, function)) FROM frame WHERE frame_id > 0",
    };
    uint32_t *keys = memory_new(set->frame_count, sizeof *keys), count = 1;
    sqlite3_stmt *row = query_prepare(database, queries[by]);
    while (query_step(row)) {
        uint32_t key = (uint32_t)sqlite3_column_int64(row, 1);
        keys[sqlite3_column_int64(row, 0)] = key;
        count = key >= count ? key + 1 : count;
    }
    keys[set->untagged_frame] = count++;
    *ret_key_count = count;
    return keys;
}
