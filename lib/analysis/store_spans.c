/* The rows of live_span (store_tables.h): sorts the window log by stack.
 *
 * The log is in the order of windows, and may be longer than memory should hold. So stacks are taken in ranges of so many changes as a
 * buffer holds, and the log is read once for each range (once, but for extreme traces), after a first reading that counts. */
#include <stdlib.h>

#include "store_tables.h"

#define BUFFER_CHANGES (256u << 10)

struct level {
    uint64_t live_bytes, live_allocations;
    uint32_t window_id;
};

struct span_sorter {
    struct replay *replay;
    uint32_t stack_count;
    uint32_t *counts;    /* of changes, by stack; only of stacks that are live at the end */
    uint32_t *positions; /* where the next change of a stack of the range goes */
    struct level *levels;
};

static int count_changes(struct span_sorter *sorter)
{
    struct window_change change;
    int status = window_log_rewind(&sorter->replay->window_log);
    while (!status && !(status = window_log_next(&sorter->replay->window_log, &change)))
        if (sorter->replay->uses[change.stack_id].live_allocations)
            sorter->counts[change.stack_id]++;
    return status == STATUS_END ? STATUS_OK : status;
}

/* As many stacks from `first` on as fit; at least one. Returns the one after the last. */
static uint32_t choose_range(struct span_sorter *sorter, uint32_t first)
{
    size_t count = 0;
    uint32_t id = first;
    for (; id < sorter->stack_count && (id == first || count + sorter->counts[id] <= BUFFER_CHANGES); id++) {
        sorter->positions[id] = (uint32_t)count;
        count += sorter->counts[id];
    }
    return id;
}

static int gather(struct span_sorter *sorter, uint32_t first, uint32_t end)
{
    struct window_change change;
    int status = window_log_rewind(&sorter->replay->window_log);
    while (!status && !(status = window_log_next(&sorter->replay->window_log, &change)))
        if (change.stack_id >= first && change.stack_id < end && sorter->counts[change.stack_id])
            sorter->levels[sorter->positions[change.stack_id]++] =
                (struct level){change.live_bytes, change.live_allocations, change.window_id};
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

static void write_range(struct span_sorter *sorter, struct btree_writer *tree, struct record *record, uint32_t first, uint32_t end)
{
    for (uint32_t id = first; id < end; id++) {
        const struct level *levels = sorter->levels + sorter->positions[id] - sorter->counts[id];
        for (uint32_t i = 0; i < sorter->counts[id]; i++)
            write_span(tree, record, id, &levels[i],
                       i + 1 < sorter->counts[id] ? levels[i + 1].window_id - 1 : sorter->replay->window_count - 1);
    }
}

static int write_ranges(struct span_sorter *sorter, struct btree_writer *tree, struct record *record)
{
    int status = count_changes(sorter);
    for (uint32_t first = 0, end; first < sorter->stack_count && !status; first = end) {
        end = choose_range(sorter, first);
        status = gather(sorter, first, end);
        if (!status)
            write_range(sorter, tree, record, first, end);
    }
    return status;
}

int store_spans_write(struct btree_writer *tree, struct record *record, const struct store_input *input)
{
    struct span_sorter sorter = {
        .replay = input->replay,
        .stack_count = input->lines->stack_count,
        .counts = calloc(input->lines->stack_count, sizeof *sorter.counts),
        .positions = calloc(input->lines->stack_count, sizeof *sorter.positions),
        .levels = malloc(BUFFER_CHANGES * sizeof *sorter.levels),
    };
    int enough = sorter.counts && sorter.positions && sorter.levels;
    int status = enough ? write_ranges(&sorter, tree, record) : STATUS_NO_MEMORY;
    free(sorter.counts);
    free(sorter.positions);
    free(sorter.levels);
    return status;
}
