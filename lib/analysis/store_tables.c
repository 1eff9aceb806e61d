/* Turns the replay's results into rows of the large tables (store_tables.h). */
#include "store_tables.h"

#include <stdlib.h>

#include "teardown.h"

static const char *const kind_names[] = {
    [TRACE_FRAME_PYTHON] = "python", [TRACE_FRAME_NATIVE] = "native", [TRACE_FRAME_CUT] = "cut", [FRAME_KIND_TAG] = "tag",
};
static const char *const origin_names[] = {
    [FRAME_USER] = "user",     [FRAME_PACKAGE] = "package",  [FRAME_STDLIB] = "stdlib",
    [FRAME_IMPORT] = "import", [FRAME_OF_NATIVE] = "native", [FRAME_SYSTEM] = "system",
};

static const struct {
    const char *name;
    enum btree_kind kind;
} trees[TREE_COUNT] = {
    [TREE_FRAME] = {"frame", BTREE_TABLE},
    [TREE_STACK] = {"stack", BTREE_TABLE},
    [TREE_STACK_USE] = {"stack_use", BTREE_TABLE},
    [TREE_STACK_USE_LIVE] = {"stack_use_live", BTREE_INDEX},
    [TREE_LINE_USE] = {"line_use", BTREE_TABLE},
    [TREE_LINE_USE_INCLUSIVE] = {"line_use_inclusive", BTREE_TABLE},
    [TREE_LINE_STACK] = {"line_stack", BTREE_TABLE},
    [TREE_LIVE_SPAN] = {"live_span", BTREE_INDEX},
    [TREE_SURVIVOR] = {"survivor", BTREE_TABLE},
    [TREE_STACK_ERROR] = {"stack_error", BTREE_TABLE},
    [TREE_LINE_ERROR] = {"line_error", BTREE_TABLE},
    [TREE_LINE_ERROR_INCLUSIVE] = {"line_error_inclusive", BTREE_TABLE},
};

int store_roots_find(sqlite3 *database, struct store_roots *ret_roots)
{
    sqlite3_stmt *row = NULL;
    int status = STATUS_DATABASE;
    if (sqlite3_prepare_v2(database, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", -1, &row, NULL) != SQLITE_OK)
        return status;
    for (int i = 0; i < TREE_COUNT; i++) {
        sqlite3_bind_text(row, 1, trees[i].name, -1, SQLITE_STATIC);
        status = sqlite3_step(row) == SQLITE_ROW ? STATUS_OK : STATUS_DATABASE;
        ret_roots->pages[i] = (uint32_t)sqlite3_column_int64(row, 0);
        sqlite3_reset(row);
        if (status)
            break;
    }
    sqlite3_finalize(row);
    return status;
}

static void add_row(struct btree_writer *tree, struct record *record, int64_t row_id)
{
    size_t bytes;
    const uint8_t *row = record_finish(record, &bytes);
    btree_add_row(tree, row_id, row, bytes);
}

static int write_frames(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    int status = STATUS_OK;
    for (uint32_t id = 1; id < input->frames->frame_count && !status; id++) {
        const struct frame *frame = &input->frames->frames[id];
        record_begin(record);
        record_null(record); /* the key */
        record_text(record, kind_names[frame->kind]);
        status |= record_text(record, frame->function);
        status |= record_text(record, frame->file);
        record_number_or_null(record, (uint64_t)frame->line);
        status |= record_text(record, frame->module);
        record_text(record, origin_names[frame->origin]);
        add_row(tree, record, id);
    }
    return status;
}

static void write_stack(struct btree_writer *tree, struct record *record, int64_t stack_id, const struct stack_entry *entry)
{
    record_begin(record);
    record_null(record);
    if (entry->frame_id)
        record_number(record, entry->caller_id);
    else
        record_null(record);
    record_number_or_null(record, entry->frame_id);
    record_number(record, entry->depth);
    record_number(record, entry->line_frame_id);
    add_row(tree, record, stack_id);
}

static int write_stacks(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    const struct frame_table *frames = input->frames;
    const struct stack_entry slack = {.frame_id = frames->slack_frame, .line_frame_id = frames->slack_frame, .depth = 1};
    const struct stack_entry small = {.frame_id = frames->small_copies_frame, .line_frame_id = frames->small_copies_frame, .depth = 1};
    write_stack(tree, record, STACK_SMALL_COPIES, &small);
    write_stack(tree, record, STACK_ARENA_SLACK, &slack);
    for (uint32_t id = 0; id < input->lines->stack_count; id++) {
        struct stack_entry entry = line_report_stack(input->lines, id);
        write_stack(tree, record, id, &entry);
    }
    return STATUS_OK;
}

static void record_figures(struct record *record, const struct figures *figures)
{
    for (int i = 0; i < FIGURE_COUNT; i++)
        record_number(record, figures->values[i]);
}

static void write_stack_use(struct btree_writer *tree, struct record *record, int64_t stack_id, const struct figures *figures,
                            const struct live_stack *live)
{
    record_begin(record);
    record_null(record);
    record_figures(record, figures);
    if (live) {
        record_number(record, live->oldest_ns);
        record_number(record, live->newest_ns);
    } else {
        record_null(record);
        record_null(record);
    }
    add_row(tree, record, stack_id);
}

static int write_stack_uses(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    const struct replay *replay = input->replay;
    const struct live_stack *live = replay->live, *end = live + replay->live_count;
    for (int64_t id = STACK_SMALL_COPIES; id < input->lines->stack_count; id++) {
        if (id >= 0 && !replay->uses.ids[id])
            continue;
        struct figures figures = line_report_stack_figures(replay, id);
        int is_live = live < end && live->stack_id == id;
        if (!figures_are_zero(&figures))
            write_stack_use(tree, record, id, &figures, is_live ? live : NULL);
        live += is_live;
    }
    return STATUS_OK;
}

static int write_survivors(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    const struct replay *replay = input->replay;
    const struct survivors *survivors = survivor_log_find(&replay->survivors, teardown_last_window(replay));
    for (uint32_t id = 0; survivors && id < replay->uses.stack_count; id++) {
        const struct survivor_row *row = survivors_of(survivors, replay->uses.ids[id]);
        if (!row)
            continue;
        record_begin(record);
        record_null(record);
        for (int part = 0; part < SURVIVOR_PARTS; part++)
            record_number(record, row->born_bytes[part]);
        add_row(tree, record, id);
    }
    return STATUS_OK;
}

static void write_live_key(struct btree_writer *tree, struct record *record, int64_t stack_id)
{
    size_t bytes;
    record_begin(record);
    record_signed(record, stack_id);
    record_signed(record, stack_id); /* the row's id, which is the same */
    const uint8_t *row = record_finish(record, &bytes);
    btree_add_key(tree, row, bytes);
}

static int write_live_index(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    if (input->replay->totals.live_slack_bytes)
        write_live_key(tree, record, STACK_ARENA_SLACK);
    for (uint32_t i = 0; i < input->replay->live_count; i++)
        write_live_key(tree, record, input->replay->live[i].stack_id);
    return STATUS_OK;
}

static int write_line(struct btree_writer *tree, struct record *record, const struct line_entry *line, const struct figures *figures,
                      uint32_t row_id)
{
    record_begin(record);
    int status = record_text(record, line->file);
    record_number_or_null(record, (uint64_t)line->line);
    status |= record_text(record, line->function);
    record_text(record, kind_names[line->kind]);
    record_text(record, origin_names[line->origin]);
    record_figures(record, figures);
    add_row(tree, record, row_id);
    return status;
}

static int write_lines(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    int status = STATUS_OK;
    for (uint32_t i = 0; i < input->lines->line_count && !status; i++)
        if (!figures_are_zero(&input->lines->lines[i].self))
            status = write_line(tree, record, &input->lines->lines[i], &input->lines->lines[i].self, i + 1);
    return status;
}

static int write_inclusive_lines(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    int status = STATUS_OK;
    for (uint32_t i = 0; i < input->lines->line_count && !status; i++)
        if (!figures_are_zero(&input->lines->lines[i].inclusive))
            status = write_line(tree, record, &input->lines->lines[i], &input->lines->lines[i].inclusive, i + 1);
    return status;
}

static int write_line_stacks(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    for (uint32_t i = 0; i < input->lines->line_count; i++) {
        const struct line_entry *line = &input->lines->lines[i];
        if (figures_are_zero(&line->self))
            continue;
        record_begin(record);
        record_null(record);
        for (int figure = 0; figure < FIGURE_COUNT; figure++)
            record_number_or_null(record, line->heaviest_stacks[figure]);
        add_row(tree, record, i + 1);
    }
    return STATUS_OK;
}

/* Sums and differences of doubles may end up a little below zero. */
static void record_variance(struct record *record, double variance)
{
    record_real(record, variance > 0 ? variance : 0);
}

static void write_error(struct btree_writer *tree, struct record *record, int64_t row_id, const struct count_error *error)
{
    if (count_error_is_zero(error))
        return;
    record_begin(record);
    record_null(record);
    record_variance(record, error->peak);
    record_variance(record, error->live);
    record_variance(record, error->allocations);
    record_variance(record, error->copies);
    record_variance(record, error->largest_block);
    record_variance(record, error->largest_copy);
    add_row(tree, record, row_id);
}

static int write_stack_errors(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    const struct stack_uses *uses = &input->replay->uses;
    for (uint32_t id = 0; replay_knows_errors(input->replay) && id < input->lines->stack_count; id++) {
        struct count_error error = stack_uses_error_of(uses, uses->ids[id]);
        write_error(tree, record, id, &error);
    }
    return STATUS_OK;
}

/* The rows' numbers are those of write_lines. */
static int write_line_errors(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    for (uint32_t i = 0; input->lines->errors && i < input->lines->line_count; i++)
        write_error(tree, record, i + 1, &input->lines->errors[i].self);
    return STATUS_OK;
}

static int write_inclusive_line_errors(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    for (uint32_t i = 0; input->lines->errors && i < input->lines->line_count; i++)
        write_error(tree, record, i + 1, &input->lines->errors[i].inclusive);
    return STATUS_OK;
}

int store_tables_write(struct page_file *pages, const struct store_roots *roots, const struct store_input *input)
{
    static int (*const writers[TREE_COUNT])(struct btree_writer *, struct record *, const struct store_input *) = {
        [TREE_FRAME] = write_frames,
        [TREE_STACK] = write_stacks,
        [TREE_STACK_USE] = write_stack_uses,
        [TREE_STACK_USE_LIVE] = write_live_index,
        [TREE_LINE_USE] = write_lines,
        [TREE_LINE_USE_INCLUSIVE] = write_inclusive_lines,
        [TREE_LINE_STACK] = write_line_stacks,
        [TREE_LIVE_SPAN] = store_spans_write,
        [TREE_SURVIVOR] = write_survivors,
        [TREE_STACK_ERROR] = write_stack_errors,
        [TREE_LINE_ERROR] = write_line_errors,
        [TREE_LINE_ERROR_INCLUSIVE] = write_inclusive_line_errors,
    };
    struct record record;
    int status = record_init(&record);
    for (int i = 0; i < TREE_COUNT && !status; i++) {
        struct btree_writer tree;
        btree_begin(&tree, pages, trees[i].kind, roots->pages[i]);
        status = writers[i](&tree, &record, input);
        int end_status = btree_end(&tree);
        status = status ? status : end_status;
    }
    record_done(&record);
    return status;
}
