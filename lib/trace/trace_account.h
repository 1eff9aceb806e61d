/* Totals, heap level and high-water mark of a trace, event by event: the writer and the reader run this same code, so that the
 * figures in the block headers and the end block can be found again exactly. One thread; never allocates. */
#ifndef HEAPLINE_TRACE_TRACE_ACCOUNT_H
#define HEAPLINE_TRACE_TRACE_ACCOUNT_H

#include "compiler.h"
#include "trace_event.h"
#include "trace_weight.h"

struct trace_account {
    struct trace_totals totals;
    struct trace_level level;
    struct trace_level peak;        /* of the trace so far */
    uint64_t time_ns;               /* of the last TRACE_TIME */
    uint64_t attributed_copies, attributed_copied_bytes; /* without the small ones */
    struct trace_level block_peak;  /* highest level after an allocation of this block */
    uint64_t block_peak_event;      /* totals.event_count then; 0: no allocation raised the level above zero */
    uint64_t block_peak_time_ns;
};

HOT_INLINE void account_begin_block(struct trace_account *account)
{
    account->block_peak = (struct trace_level){0, 0, 0};
    account->block_peak_event = 0;
    account->block_peak_time_ns = 0;
}

/* The level after this event is the highest of its block. */
HOT_INLINE void account_raise(struct trace_account *account)
{
    account->block_peak = account->level;
    account->block_peak_event = account->totals.event_count;
    account->block_peak_time_ns = account->time_ns;
    if (trace_level_higher(&account->level, &account->peak)) {
        account->peak = account->level;
        account->totals.peak_bytes = trace_level_total(&account->level);
        account->totals.peak_event = account->block_peak_event;
        account->totals.peak_time_ns = account->block_peak_time_ns;
    }
}

/* A block became live: by an allocation, or because its deallocation is undone. Only this can raise the level. */
HOT_INLINE void account_live(struct trace_account *account, uint64_t size_bytes, unsigned flags)
{
    account->totals.event_count++;
    trace_level_change(&account->level, flags, size_bytes, 1);
    account->totals.live_bytes = trace_level_total(&account->level);
    if (trace_level_higher(&account->level, &account->block_peak))
        account_raise(account);
}

HOT_INLINE void account_allocate(struct trace_account *account, uint64_t size_bytes, unsigned flags)
{
    if (likely(!(flags & (TRACE_ARENA | TRACE_INHERITED)))) {
        account->totals.allocations++;
        account->totals.allocated_bytes += size_bytes;
    }
    account_live(account, size_bytes, flags);
}

/* A deallocation, or the part of a mapping that goes. */
HOT_INLINE void account_free(struct trace_account *account, uint64_t size_bytes, unsigned flags)
{
    account->totals.event_count++;
    trace_level_change(&account->level, flags, size_bytes, -1);
    account->totals.live_bytes = trace_level_total(&account->level);
}

HOT_INLINE void account_copy(struct trace_account *account, uint64_t size_bytes)
{
    account->totals.event_count++;
    account->totals.copies++;
    account->totals.copied_bytes += size_bytes;
    account->attributed_copies++;
    account->attributed_copied_bytes += size_bytes;
}

/* The same of what counts as more than it is. Deallocations of it: account_free, with its weight. */
static inline void account_allocate_weighted(struct trace_account *account, struct trace_weight weight, unsigned flags)
{
    if (!(flags & (TRACE_ARENA | TRACE_INHERITED))) {
        account->totals.allocations += weight.count;
        account->totals.allocated_bytes += weight.bytes;
    }
    account_live(account, weight.bytes, flags);
}

static inline void account_copy_weighted(struct trace_account *account, struct trace_weight weight)
{
    account->totals.event_count++;
    account->totals.copies += weight.count;
    account->totals.copied_bytes += weight.bytes;
    account->attributed_copies += weight.count;
    account->attributed_copied_bytes += weight.bytes;
}

/* Running totals of copies below the threshold. */
static inline void account_small_copies(struct trace_account *account, uint64_t copies, uint64_t bytes)
{
    account->totals.copies = account->attributed_copies + copies;
    account->totals.copied_bytes = account->attributed_copied_bytes + bytes;
}

static inline void account_rss(struct trace_account *account, uint64_t rss_bytes)
{
    if (rss_bytes > account->totals.peak_rss_bytes)
        account->totals.peak_rss_bytes = rss_bytes;
}

#endif
