/* Tally blocks, read (trace_reader.h). A block is checked as a whole before any of it is handed out; what it adds up to is taken into the
 * reader's totals when the block has been read. One thread; allocates nothing. */
#include "trace_reader_internal.h"

static int is_higher(const struct trace_block *block, const struct trace_account *account)
{
    uint64_t peak_bytes = trace_level_total(&account->peak);
    return block->peak_bytes > peak_bytes || (block->peak_bytes == peak_bytes && block->peak_object_bytes > account->peak.object_bytes);
}

static const char *check_header(const struct trace_block *block)
{
    if (block->peak_event ? block->peak_time_ns < block->start_time_ns || block->peak_time_ns > block->end_time_ns
                          : block->peak_bytes || block->peak_object_bytes || block->peak_time_ns)
        return "its high-water mark is impossible";
    return NULL;
}

/* Definitions are decoded twice: their number limits what the stacks may refer to. */
static const char *count_definitions(const struct trace_reader *reader, struct definition_counts *ret_counts)
{
    const uint8_t *next = reader->tally.definitions;
    struct trace_definition definition;
    const char *problem = NULL;
    *ret_counts = reader->definitions;
    while (definition_decode(ret_counts, &next, reader->tally.definitions_end, &definition, &problem) == 0)
        ;
    return problem;
}

const char *trace_reader_begin_tally(struct trace_reader *reader)
{
    const struct trace_block *block = &reader->block;
    const struct trace_account *account = &reader->events.account;
    reader->tally = (struct tally_payload){.tally = {
        .first_event = block->first_event,
        .event_count = block->event_count,
        .start_time_ns = block->start_time_ns,
        .end_time_ns = block->end_time_ns,
        .end_level = block->end_level,
        .has_peak = is_higher(block, account),
        .peak_event = block->first_event + block->peak_event,
        .peak_time_ns = block->peak_time_ns,
        .peak_bytes = block->peak_bytes,
        .peak_level.object_bytes = block->peak_object_bytes,
    }};
    struct definition_counts counts;
    const char *problem = check_header(block);
    if (!problem)
        problem = tally_payload_begin(&reader->tally, reader->raw, block->raw_bytes);
    if (!problem)
        problem = count_definitions(reader, &counts);
    if (!problem)
        problem = tally_payload_check(&reader->tally, &(struct tally_context){account->level, counts.stacks, &reader->events.slots});
    reader->next_definition = reader->tally.definitions;
    reader->definitions_end = reader->tally.definitions_end;
    trace_reader_rewind_tally(reader);
    return problem;
}

void trace_reader_end_tally(struct trace_reader *reader)
{
    const struct trace_tally *tally = &reader->tally.tally;
    const struct trace_totals *sums = &reader->tally.sums;
    struct trace_account *account = &reader->events.account;
    struct trace_totals *totals = &account->totals;
    totals->event_count += tally->event_count;
    totals->allocated_bytes += sums->allocated_bytes;
    totals->allocations += sums->allocations;
    account->attributed_copied_bytes += sums->copied_bytes;
    account->attributed_copies += sums->copies;
    account_small_copies(account, tally->small_copies, tally->small_copied_bytes);
    totals->lost_events = tally->lost_events;
    totals->unknown_frees = tally->unknown_frees;
    account_rss(account, tally->peak_rss_bytes);
    account->level = tally->end_level;
    account->time_ns = tally->end_time_ns;
    totals->live_bytes = trace_level_total(&account->level);
    if (!tally->has_peak)
        return;
    account->peak = tally->peak_level;
    totals->peak_bytes = tally->peak_bytes;
    totals->peak_event = tally->peak_event;
    totals->peak_time_ns = tally->peak_time_ns;
}

const struct trace_tally *trace_reader_tally(const struct trace_reader *reader)
{
    return reader->in_block && reader->block.type == TRACE_BLOCK_TALLY ? &reader->tally.tally : NULL;
}

void trace_reader_rewind_tally(struct trace_reader *reader)
{
    reader->moments = reader->tally.moments;
    reader->stacks = reader->tally.stacks;
}

int trace_reader_next_moment(struct trace_reader *reader, struct tally_moment *ret_moment)
{
    return trace_reader_tally(reader) && tally_next_moment(&reader->moments, ret_moment);
}

int trace_reader_next_tally_stack(struct trace_reader *reader, struct tally_stack *ret_stack)
{
    return trace_reader_tally(reader) && tally_next_stack(&reader->stacks, ret_stack);
}
