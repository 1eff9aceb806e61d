/* The rows of live_span (store_tables.h): sorts the window log by stack.
 *
 * The log is in the order of windows, and may be longer than memory should hold. So stacks are taken in ranges of so many changes as a
 * buffer holds, and the log is read once for each range (once, but for extreme traces), after a first reading that counts. */
#include <stdlib.h>

#include "store_tables.h"
#include "teardown.h"

#define BUFFER_CHANGES (256u << 10)

struct level {
    uint64_t live_bytes, live_allocations;
    uint32_t window_id;
};

/* "Live" numbers: of the stacks that are live at the end, or were before the program tore itself down, in the order of their ids. */
struct span_sorter {
    struct replay *replay;
    uint32_t *live_ids;  /* by use: its live number + 1; 0: it isn't live */
    uint32_t *stack_ids; /* by live number */
    uint32_t live_count;
    uint32_t *counts;    /* by live number: of changes */
    uint32_t *positions; /* by live number: where the next change of a stack of the range goes */
    struct level *levels;
};

static uint32_t live_id(const struct span_sorter *sorter, const struct window_change *change)
{
    return sorter->live_ids[change->use_id];
}

/* live_ids: 1 for the uses that were live at the end of the last window before teardown, or at the trace's. */
static int mark_live(struct span_sorter *sorter)
{
    const struct replay *replay = sorter->replay;
    uint32_t last = teardown_last_window(replay);
    struct window_change change;
    int status = window_log_rewind(&sorter->replay->window_log);
    while (!status && !(status = window_log_next(&sorter->replay->window_log, &change)))
        if (change.window_id <= last)
            sorter->live_ids[change.use_id] = change.live_bytes || change.live_allocations;
    for (uint32_t i = 0; i < replay->live_count; i++)
        sorter->live_ids[replay->uses.ids[replay->live[i].stack_id]] = 1;
    return status == STATUS_END ? STATUS_OK : status;
}

static int number_live(struct span_sorter *sorter)
{
    const struct stack_uses *uses = &sorter->replay->uses;
    for (uint32_t use_id = 1; use_id < uses->use_count; use_id++)
        sorter->live_count += sorter->live_ids[use_id];
    sorter->stack_ids = malloc((sorter->live_count + 1u) * sizeof *sorter->stack_ids);
    sorter->counts = calloc(sorter->live_count + 1u, sizeof *sorter->counts);
    sorter->positions = calloc(sorter->live_count + 1u, sizeof *sorter->positions);
    if (!sorter->stack_ids || !sorter->counts || !sorter->positions)
        return STATUS_NO_MEMORY;
    uint32_t number = 0;
    for (uint32_t stack_id = 0; stack_id < uses->stack_count; stack_id++) {
        uint32_t use_id = uses->ids[stack_id];
        if (!use_id || !sorter->live_ids[use_id])
            continue;
        sorter->stack_ids[number++] = stack_id;
        sorter->live_ids[use_id] = number;
    }
    return STATUS_OK;
}

static int count_changes(struct span_sorter *sorter)
{
    struct window_change change;
    int status = window_log_rewind(&sorter->replay->window_log);
    while (!status && !(status = window_log_next(&sorter->replay->window_log, &change)))
        if (live_id(sorter, &change))
            sorter->counts[live_id(sorter, &change) - 1]++;
    return status == STATUS_END ? STATUS_OK : status;
}

/* As many stacks from the live number `first` on as fit; at least one. Returns the one after the last. */
static uint32_t choose_range(struct span_sorter *sorter, uint32_t first)
{
    size_t count = 0;
    uint32_t end = first;
    for (; end < sorter->live_count && (end == first || count + sorter->counts[end] <= BUFFER_CHANGES); end++) {
        sorter->positions[end] = (uint32_t)count;
        count += sorter->counts[end];
    }
    return end;
}

static int gather(struct span_sorter *sorter, uint32_t first, uint32_t end)
{
    struct window_change change;
    int status = window_log_rewind(&sorter->replay->window_log);
    while (!status && !(status = window_log_next(&sorter->replay->window_log, &change))) {
        uint32_t id = live_id(sorter, &change);
        if (id > first && id <= end)
            sorter->levels[sorter->positions[id - 1]++] = (struct level){change.live_bytes, change.live_allocations, change.window_id};
    }
    return status == STATUS_END ? STATUS_OK : status;
}

static void write_span(struct btree_writer *tree, struct record *record, uint32_t stack_id, const struct level *level, uint32_t last_window_id)
{
    size_t bytes;
    if (!level->live_allocations && !level->live_bytes)
        return;
    record_begin(record);
    record_number(record, stack_id);
    record_number(record, level->window_id);
    record_number(record, last_window_id);
    record_number(record, level->live_bytes);
    record_number(record, level->live_allocations);
    const uint8_t *row = record_finish(record, &bytes);
    btree_add_key(tree, row, bytes);
}

/* A stack that changed and changed back within a window is logged though it holds the same. */
static void write_stack_spans(struct btree_writer *tree, struct record *record, uint32_t stack_id, const struct level *levels, uint32_t count,
                              uint32_t window_count)
{
    const struct level *since = levels;
    for (uint32_t i = 1; i < count; i++) {
        if (levels[i].live_bytes == since->live_bytes && levels[i].live_allocations == since->live_allocations)
            continue;
        write_span(tree, record, stack_id, since, levels[i].window_id - 1);
        since = &levels[i];
    }
    if (count)
        write_span(tree, record, stack_id, since, window_count - 1);
}

static int write_ranges(struct span_sorter *sorter, struct btree_writer *tree, struct record *record)
{
    const struct replay *replay = sorter->replay;
    int status = count_changes(sorter);
    for (uint32_t first = 0, end; first < sorter->live_count && !status; first = end) {
        end = choose_range(sorter, first);
        status = gather(sorter, first, end);
        for (uint32_t i = first; i < end && !status; i++)
            write_stack_spans(tree, record, sorter->stack_ids[i], sorter->levels + sorter->positions[i] - sorter->counts[i],
                              sorter->counts[i], replay->window_count);
    }
    return status;
}

int store_spans_write(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    struct span_sorter sorter = {
        .replay = input->replay,
        .live_ids = calloc(input->replay->uses.use_count, sizeof *sorter.live_ids),
        .levels = malloc(BUFFER_CHANGES * sizeof *sorter.levels),
    };
    int status = sorter.live_ids && sorter.levels ? mark_live(&sorter) : STATUS_NO_MEMORY;
    if (!status)
        status = number_live(&sorter);
    if (!status)
        status = write_ranges(&sorter, tree, record);
    free(sorter.live_ids);
    free(sorter.stack_ids);
    free(sorter.counts);
    free(sorter.positions);
    free(sorter.levels);
    return status;
}
