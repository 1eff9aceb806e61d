/* Writes the tree: see viewer_nodes.h. */
#include "viewer_nodes.h"

#include <stdlib.h>

#include "memory.h"
#include "viewer_columns.h"

/* The frames that nodes name, numbered anew from 1; 0: none. By the set's frame. */
static uint32_t *number_frames(const struct viewer_tree *tree, uint32_t frame_count, uint32_t *ret_count)
{
    uint32_t *numbers = memory_new(frame_count, sizeof *numbers);
    for (uint32_t i = 0; i < tree->node_count; i++)
        numbers[tree->nodes[i].frame] = numbers[tree->nodes[i].line_frame] = 1;
    numbers[0] = 0;
    *ret_count = 1;
    for (uint32_t i = 1; i < frame_count; i++)
        numbers[i] = numbers[i] ? (*ret_count)++ : 0;
    return numbers;
}

static void write_frames(const struct stack_set *set, const uint32_t *numbers, uint32_t count, const uint8_t *is_gone,
                         struct viewer_strings *strings, struct json *json)
{
    enum { FUNCTION, FILE_NAME, LINE, MODULE, KIND, ORIGIN, GONE, COLUMN_COUNT };
    static const char *const names[] = {"function", "file", "line", "module", "kind", "origin", "gone"};
    int64_t *columns[COLUMN_COUNT];
    for (int i = 0; i < COLUMN_COUNT; i++)
        columns[i] = viewer_column_new(count);
    columns[KIND][0] = columns[ORIGIN][0] = -1;
    for (uint32_t i = 1; i < set->frame_count; i++) {
        const struct set_frame *frame = &set->frames[i];
        uint32_t to = numbers[i];
        if (!to)
            continue;
        columns[FUNCTION][to] = viewer_string(strings, frame->function);
        columns[FILE_NAME][to] = viewer_string(strings, frame->file);
        columns[LINE][to] = frame->line;
        columns[MODULE][to] = viewer_string(strings, frame->module);
        columns[KIND][to] = viewer_kind_number(frame->kind);
        columns[ORIGIN][to] = viewer_origin_number(frame->origin);
        columns[GONE][to] = is_gone && is_gone[i];
    }
    json_object(json, "frames");
    for (int i = 0; i < (is_gone ? COLUMN_COUNT : GONE); i++)
        viewer_column_write(json, names[i], columns[i], count);
    for (int i = 0; i < COLUMN_COUNT; i++)
        free(columns[i]);
    json_object_end(json);
}

static void write_shape(const struct viewer_tree *tree, const uint32_t *numbers, int64_t *values, struct json *json)
{
    static const char *const names[] = {"parent", "frame", "line_frame", "interpreter", "folded"};
    for (int column = 0; column < 5; column++) {
        for (uint32_t i = 0; i < tree->node_count; i++) {
            const struct viewer_node *node = &tree->nodes[i];
            const int64_t fields[] = {i - node->parent, numbers[node->frame], numbers[node->line_frame], node->is_interpreter,
                                      node->frame ? 0 : node->folded_count};
            values[i] = fields[column];
        }
        viewer_column_write(json, names[column], values, tree->node_count);
    }
}

static void write_nodes(const struct viewer_tree *tree, const uint32_t *numbers, struct json *json)
{
    int64_t *values = viewer_column_new(tree->node_count);
    json_object(json, "nodes");
    write_shape(tree, numbers, values, json);
    for (int m = 0; m < MEASURE_COUNT; m++) {
        for (uint32_t i = 0; i < tree->node_count; i++)
            values[i] = tree->nodes[i].self[m];
        viewer_column_write(json, measures[m].name, values, tree->node_count);
    }
    json_object_end(json);
    if (tree->old)
        json_object(json, "old_nodes");
    for (int m = 0; m < MEASURE_COUNT && tree->old; m++) {
        for (uint32_t i = 0; i < tree->node_count; i++)
            values[i] = tree->old[i][m];
        viewer_column_write(json, measures[m].name, values, tree->node_count);
    }
    if (tree->old)
        json_object_end(json);
    free(values);
}

static void write_folded(const struct viewer_tree *tree, struct json *json)
{
    json_object(json, "folded");
    json_integer(json, "stacks", tree->folded_stacks);
    json_integer(json, "stacks_in_all", tree->stack_count);
    for (int i = 0; i < MEASURE_COUNT; i++)
        json_integer(json, measures[i].name, tree->folded[i]);
    json_object_end(json);
}

void viewer_nodes_write(const struct stack_set *set, const struct viewer_tree *tree, const uint8_t *is_gone, struct viewer_strings *strings,
                        struct json *json)
{
    uint32_t frame_count, *numbers = number_frames(tree, set->frame_count, &frame_count);
    write_frames(set, numbers, frame_count, is_gone, strings, json);
    write_nodes(tree, numbers, json);
    write_folded(tree, json);
    free(numbers);
}
