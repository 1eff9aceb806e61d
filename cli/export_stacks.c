/* Exports of stacks: 'folded' (a line a stack, for flamegraph.pl, inferno and their kin) and 'speedscope' (www.speedscope.app). */
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "export.h"
#include "frame_name.h"
#include "memory.h"
#include "paths.h"

/* ---- stacks, root first ---- */

static uint32_t innermost_frame(const struct set_stack *stack)
{
    return stack->frame ? stack->frame : stack->line_frame;
}

static uint32_t caller_of(const struct stack_set *set, uint32_t stack)
{
    return stack > SET_EMPTY ? set->stacks[stack].caller : SET_EMPTY;
}

uint32_t export_max_depth(const struct stack_set *set)
{
    uint32_t *depths = memory_new(set->stack_count, sizeof *depths), deepest = 1;
    for (uint32_t i = SET_EMPTY + 1; i < set->stack_count; i++) {
        depths[i] = depths[set->stacks[i].caller] + 1;
        deepest = depths[i] > deepest ? depths[i] : deepest;
    }
    free(depths);
    return deepest;
}

uint32_t export_frames(const struct stack_set *set, uint32_t stack, uint32_t *ret_frames, uint32_t capacity)
{
    uint32_t count = 0;
    do {
        uint32_t frame = innermost_frame(&set->stacks[stack]);
        if (frame)
            ret_frames[count++] = frame;
        stack = caller_of(set, stack);
    } while (stack != SET_EMPTY && count < capacity);
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t frame = ret_frames[i];
        ret_frames[i] = ret_frames[count - 1 - i];
        ret_frames[count - 1 - i] = frame;
    }
    return count;
}

void export_each_stack(const struct export *export, const struct stack_set *set, enum measure cost,
                       void (*visit)(void *context, uint32_t stack, int64_t amount), void *context)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT stack_id, %s FROM stack_use WHERE %s > 0 ORDER BY stack_id", measures[cost].name, measures[cost].name);
    sqlite3_stmt *row = query_prepare(export->database, sql);
    while (query_step(row))
        visit(context, stack_set_index(set, sqlite3_column_int64(row, 0)), sqlite3_column_int64(row, 1));
}

void export_load_stacks(const struct export *export, sqlite3 *database, struct stack_set *ret_set)
{
    stack_set_load(database, ret_set);
    if (export->is_folded)
        stack_set_fold_interpreter(ret_set);
}

/* ---- folded ---- */

struct folded {
    FILE *out;
    const struct stack_set *set;
    uint32_t *frames, capacity;
};

static void write_folded(void *context, uint32_t stack, int64_t amount)
{
    const struct folded *folded = context;
    uint32_t count = export_frames(folded->set, stack, folded->frames, folded->capacity);
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            putc(';', folded->out);
        frame_name_write(folded->out, &folded->set->frames[folded->frames[i]]);
    }
    if (!count)
        fputs("(no stack)", folded->out);
    fprintf(folded->out, " %lld\n", (long long)amount);
}

static uint32_t *frame_buffer(uint32_t capacity)
{
    uint32_t *frames = memory_new(capacity, sizeof *frames);
    return frames;
}

void export_folded(const struct export *export)
{
    struct stack_set set;
    export_load_stacks(export, export->database, &set);
    struct folded folded = {.out = export->out, .set = &set, .capacity = export_max_depth(&set)};
    folded.frames = frame_buffer(folded.capacity);
    export_each_stack(export, &set, export->cost->amount, write_folded, &folded);
    free(folded.frames);
    stack_set_free(&set);
}

/* ---- speedscope ---- */

struct speedscope {
    struct json json;
    const struct stack_set *set;
    uint32_t *frames, capacity;
    int64_t total;
};

static void write_shared_frames(struct json *json, const struct stack_set *set)
{
    json_object(json, "shared");
    json_array(json, "frames");
    for (uint32_t i = 1; i < set->frame_count; i++) {
        const struct set_frame *frame = &set->frames[i];
        json_object(json, NULL);
        json_text(json, "name", frame->function ? frame->function : "?");
        if (frame->file || frame->module)
            json_text(json, "file", frame->file ? frame->file : frame->module);
        if (frame->file && frame->line > 0)
            json_integer(json, "line", frame->line);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void write_sample(void *context, uint32_t stack, int64_t amount)
{
    struct speedscope *speedscope = context;
    uint32_t count = export_frames(speedscope->set, stack, speedscope->frames, speedscope->capacity);
    json_array(&speedscope->json, NULL);
    for (uint32_t i = 0; i < count; i++)
        json_integer(&speedscope->json, NULL, speedscope->frames[i] - 1);
    json_array_end(&speedscope->json);
    speedscope->total += amount;
}

static void write_weight(void *context, uint32_t stack, int64_t amount)
{
    struct speedscope *speedscope = context;
    (void)stack;
    json_integer(&speedscope->json, NULL, amount);
}

static void write_profile(const struct export *export, struct speedscope *speedscope, const struct cost *cost)
{
    struct json *json = &speedscope->json;
    speedscope->total = 0;
    json_object(json, NULL);
    json_text(json, "type", "sampled");
    json_text(json, "name", cost->text);
    json_text(json, "unit", measures[cost->amount].is_bytes ? "bytes" : "none");
    json_array(json, "samples");
    export_each_stack(export, speedscope->set, cost->amount, write_sample, speedscope);
    json_array_end(json);
    json_array(json, "weights");
    export_each_stack(export, speedscope->set, cost->amount, write_weight, speedscope);
    json_array_end(json);
    json_integer(json, "startValue", 0);
    json_integer(json, "endValue", speedscope->total);
    json_object_end(json);
}

void export_speedscope(const struct export *export)
{
    struct stack_set set;
    export_load_stacks(export, export->database, &set);
    struct speedscope speedscope = {.json = {.out = export->out}, .set = &set, .capacity = export_max_depth(&set)};
    struct json *json = &speedscope.json;
    speedscope.frames = frame_buffer(speedscope.capacity);
    json_object(json, NULL);
    json_text(json, "$schema", "https://www.speedscope.app/file-format-schema.json");
    json_text(json, "exporter", "heapline " HEAPLINE_VERSION);
    json_text(json, "name", paths_base(export->reading->trace));
    write_shared_frames(json, &set);
    json_array(json, "profiles");
    for (size_t i = 0; i < COST_COUNT; i++)
        write_profile(export, &speedscope, &costs[i]);
    json_array_end(json);
    json_end(json);
    free(speedscope.frames);
    stack_set_free(&set);
}
