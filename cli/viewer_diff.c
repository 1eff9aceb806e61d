/* Merges two traces to one tree, and writes it: see viewer_diff.h. Frames are places of diff_match.h: what stands for each other is one. */
#include "viewer_diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diff_output.h"
#include "memory.h"
#include "viewer_columns.h"
#include "viewer_nodes.h"
#include "viewer_sources.h"
#include "viewer_strings.h"

/* The stack of arena slack: id -1. */
#define SET_SLACK 1

/* ---- stacks of both ---- */

/* The new side's frame shows what a place is called, where it has one. The last frame is that of what no stack is known of. */
static void merge_frames(struct viewer_pair *pair, const struct diff_match *match)
{
    pair->set.frame_count = match->place_count + 1;
    pair->set.frames = memory_new(pair->set.frame_count, sizeof *pair->set.frames);
    pair->is_gone = memory_new(pair->set.frame_count, 1);
    for (int side = 0; side < 2; side++)
        for (uint32_t i = 1; i < pair->sides[side].set.frame_count; i++) {
            pair->set.frames[match->places[side][i]] = pair->sides[side].set.frames[i];
            pair->is_gone[match->places[side][i]] = side == 0;
        }
    pair->set.frames[match->place_count] = (struct set_frame){.kind = "native", .function = "(since freed, arena slack)", .origin = "system"};
}

static void merge_stacks(struct viewer_pair *pair, const struct diff_match *match)
{
    uint32_t *numbers[2], count = diff_match_stacks(pair->sides, match, numbers);
    pair->set.stack_count = count + 1;
    pair->set.stacks = memory_new(pair->set.stack_count, sizeof *pair->set.stacks);
    pair->uses = memory_new(pair->set.stack_count, sizeof *pair->uses);
    for (int side = 0; side < 2; side++) {
        for (uint32_t i = 0; i < pair->sides[side].set.stack_count; i++) {
            const struct set_stack *stack = &pair->sides[side].set.stacks[i];
            uint32_t to = numbers[side][i];
            pair->set.stacks[to] = (struct set_stack){numbers[side][stack->caller], match->places[side][stack->frame], match->places[side][stack->line_frame]};
            for (int m = 0; m < MEASURE_COUNT; m++)
                pair->uses[to].measures[side][m] += pair->sides[side].uses[i].measures[m];
        }
        free(numbers[side]);
    }
    pair->set.stacks[count] = (struct set_stack){SET_EMPTY, match->place_count, match->place_count};
}

/* Of moments, what has no stack any more, as the rows have it. */
static void add_rest(struct viewer_pair *pair)
{
    for (int64_t i = 0; i < pair->rows->count; i++)
        if (pair->rows->rows[i].is_rest)
            memcpy(pair->uses[pair->set.stack_count - 1].measures, pair->rows->rows[i].measures, sizeof pair->uses->measures);
    for (int side = 0; side < 2 && (pair->sides[0].window_id >= 0 || pair->sides[1].window_id >= 0); side++)
        pair->uses[SET_SLACK].measures[side][LIVE_BYTES] = 0;
}

void viewer_pair_init(struct viewer_pair *pair, const struct diff_side *sides, const struct diff_rows *rows)
{
    struct diff_match match;
    *pair = (struct viewer_pair){.sides = sides, .rows = rows};
    diff_match_make(sides, SET_BY_LINE, &match);
    merge_frames(pair, &match);
    merge_stacks(pair, &match);
    add_rest(pair);
    diff_match_free(&match);
}

void viewer_pair_done(struct viewer_pair *pair)
{
    free(pair->set.frames);
    free(pair->set.stacks);
    free(pair->uses);
    free(pair->is_gone);
}

/* ---- rows ---- */

static int status_number(const struct diff_rows *rows, const struct diff_row *row)
{
    static const char *const names[] = {"same", "noise", "grew", "shrank", "new", "gone"}; /* viewer/src/data.ts */
    const char *status = diff_row_status(rows, row);
    int number = 0;
    while (strcmp(names[number], status))
        number++;
    return number;
}

enum row_column { ROW_FILE, ROW_FUNCTION, ROW_LINE, ROW_KIND, ROW_ORIGIN, ROW_OLD_FILE, ROW_OLD_LINE, ROW_GONE, ROW_STATUS, ROW_NOISE, ROW_COLUMN_COUNT };

static const char *file_of(const struct set_frame *frame)
{
    return frame->file ? frame->file : frame->module;
}

static int64_t row_value(const struct diff_rows *rows, const struct diff_row *row, enum row_column column, struct viewer_strings *strings)
{
    static const struct set_frame nothing;
    const struct set_frame *frame = diff_row_frame(row) ? diff_row_frame(row) : &nothing, *old = row->frames[0] ? row->frames[0] : &nothing;
    switch (column) {
    case ROW_FILE: return viewer_string(strings, file_of(frame));
    case ROW_FUNCTION: return viewer_string(strings, frame == &nothing ? diff_row_name(row) : frame->function);
    case ROW_LINE: return frame->file ? frame->line : 0;
    case ROW_KIND: return viewer_kind_number(frame->kind);
    case ROW_ORIGIN: return viewer_origin_number(frame->origin);
    case ROW_OLD_FILE: return viewer_string(strings, file_of(old));
    case ROW_OLD_LINE: return old->file ? old->line : 0;
    case ROW_GONE: return !row->frames[1] && row->frames[0];
    case ROW_STATUS: return status_number(rows, row);
    default: return llround(sqrt(row->variance));
    }
}

static void write_side(const struct diff_rows *rows, int side, int64_t count, int64_t *values, struct json *json)
{
    for (int m = 0; m < MEASURE_COUNT; m++) {
        for (int64_t i = 0; i < count; i++)
            values[i] = rows->rows[i].measures[side][m];
        viewer_column_write(json, measures[m].name, values, count);
    }
}

static void write_rows(const struct diff_rows *rows, int64_t limit, struct viewer_strings *strings, struct json *json)
{
    static const char *const names[] = {"file", "function", "line", "kind", "origin", "old_file", "old_line", "gone", "status", "noise"};
    int64_t count = rows->count < limit ? rows->count : limit, *values = viewer_column_new(count);
    json_object(json, "lines");
    for (int column = 0; column < ROW_COLUMN_COUNT; column++) {
        for (int64_t i = 0; i < count; i++)
            values[i] = row_value(rows, &rows->rows[i], (enum row_column)column, strings);
        viewer_column_write(json, names[column], values, count);
    }
    write_side(rows, 1, count, values, json);
    json_object(json, "old");
    write_side(rows, 0, count, values, json);
    json_object_end(json);
    json_integer(json, "more", rows->count - count);
    json_object_end(json);
    free(values);
}

/* ---- the document ---- */

/* What stands beside each other. */
static void write_run(const struct diff_side *side, struct json *json)
{
    viewer_document_summary(&side->reading, &side->summary, json);
    json_integer(json, "moment_ns", side->moment_ns);
    viewer_document_timeline(side->database, json);
    viewer_document_leaks(&side->reading, side->database, json);
}

void viewer_pair_write(const struct viewer_pair *pair, const struct viewer_choice *choice, const struct viewer_bounds *bounds, struct json *json)
{
    const struct diff_side *now = &pair->sides[1];
    struct viewer_strings strings;
    struct viewer_tree tree;
    viewer_strings_init(&strings);
    viewer_tree_build_pair(&pair->set, pair->uses, bounds->node_count, &tree);
    json_object(json, NULL);
    write_run(now, json);
    viewer_nodes_write(&pair->set, &tree, pair->is_gone, &strings, json);
    write_rows(pair->rows, bounds->line_count, &strings, json);
    viewer_sources_write(&now->reading, now->database, choice, bounds->source_bytes, json);
    json_object(json, "baseline");
    write_run(&pair->sides[0], json);
    json_object_end(json);
    json_text(json, "of", pair->rows->of->name);
    json_integer(json, "edited_files", pair->rows->edited_files);
    viewer_strings_write(&strings, now->reading.directory, json);
    json_object_end(json);
    viewer_tree_free(&tree);
    viewer_strings_done(&strings);
}
