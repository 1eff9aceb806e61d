/* Reads a trace, block by block, in bounded memory, trusting nothing in the file.
 *
 * Opening scans all block headers (a seek each), so that duration, event count and the block of the high-water mark are known
 * before anything is decoded. A file that is cut or damaged opens as far as its blocks are good; the rest is described by
 * trace_reader_damage. One thread a reader. */
#ifndef HEAPLINE_TRACE_TRACE_READER_H
#define HEAPLINE_TRACE_TRACE_READER_H

#include "live_slots.h"
#include "status.h"
#include "trace_event.h"
#include "trace_tally.h"
#include "trace_weight.h"

struct trace_reader;

/* What is known from the block headers alone. */
struct trace_overview {
    struct trace_identity identity;
    uint32_t format_version;
    uint64_t file_bytes;      /* of the stream: of a rotated trace, its parts behind one another */
    uint64_t good_bytes;      /* up to the end of the last good block */
    uint64_t block_count;
    uint64_t event_count;     /* in good blocks; counts what trace_totals.event_count counts */
    uint64_t end_time_ns;     /* of the last good block */
    uint64_t peak_event;      /* events before and including the one that reached the high-water mark; 0: none */
    uint64_t peak_bytes;      /* heap bytes then */
    uint64_t peak_time_ns;    /* of the last TRACE_TIME before it */
    int has_tally;            /* the trace's size was bounded: events are listed up to stream_end_ns, then only added up */
    uint64_t stream_end_ns;
    int has_history;          /* old parts of the trace made room: up to history_end_ns events are only added up, then listed */
    uint64_t history_end_ns;
    int has_end;              /* the end block is there: `end` is valid */
    struct trace_end end;
};

/* Returns 0, STATUS_SYSTEM, STATUS_NOT_A_TRACE, STATUS_NEWER_VERSION, STATUS_CORRUPT (the first header itself is damaged),
 * STATUS_NO_MEMORY; `detail` (may be NULL) says more. A damaged or cut tail is no error here. */
int trace_reader_open(const char *path, struct trace_reader **ret_reader, struct status_detail *detail);
void trace_reader_close(struct trace_reader *reader);

const struct trace_overview *trace_reader_overview(const struct trace_reader *reader);
/* STATUS_OK: the file is whole (it may still lack an end block: a killed collector). Else STATUS_TRUNCATED or STATUS_CORRUPT,
 * with the offset of the first bad byte's block. */
int trace_reader_damage(const struct trace_reader *reader, struct status_detail *detail);

/* The file may have grown since it was opened, or since this was called last: look for the blocks that have come. trace_reader_next_block then
 * goes on with them, and overview and damage say what is known now. Returns 0, STATUS_SYSTEM, or STATUS_CORRUPT where old parts of a rotated trace,
 * read before, have made room: it can only be opened again. */
int trace_reader_follow(struct trace_reader *reader, struct status_detail *detail);

/* Go on to the next block: read, verify, decompress it. What was left unread of the current one is decoded first: blocks build
 * on each other. Returns 0, STATUS_END after the last good one, or an error
 * (detail says where). After an error the reader stays at the end. */
int trace_reader_next_block(struct trace_reader *reader, struct status_detail *detail);

/* The next definition of the current block: 0, STATUS_END, or STATUS_CORRUPT. Read them all before the events: those unread
 * when the first event is asked for are skipped. */
int trace_reader_next_definition(struct trace_reader *reader, struct trace_definition *definition, struct status_detail *detail);

/* The next event of the current block, applied to the reader's live slots: 0, STATUS_END, STATUS_CORRUPT or STATUS_NO_MEMORY.
 * TRACE_FREE: the slot's contents are still readable, its number is not reused before the next call. All ids in events are in
 * range (defined), all slots live: the caller need not check. TRACE_FREE also carries stack_id and size_bytes of the block. */
int trace_reader_next_event(struct trace_reader *reader, struct trace_event *event, struct status_detail *detail);

/* The same for as many events as there is room for: twice as fast. Where it returns 0 there is at least one. By the time they are seen, the
 * live slots are as the last one left them: what a block was, its TRACE_FREE or TRACE_SHRINK tells. */
int trace_reader_next_events(struct trace_reader *reader, struct trace_event *events, size_t capacity, size_t *ret_count,
                             struct status_detail *detail);

/* The current block's tally, until the next call for a block or an event; NULL: it is a block of events. A tally block has no events:
 * asked for the next one, the reader ends the block and takes the tally into its totals. The live slots stay as the last event left them. */
const struct trace_tally *trace_reader_tally(const struct trace_reader *reader);
/* Its moments, and its stacks in the order of their ids: 1, or 0 after the last one. All has been checked before. */
int trace_reader_next_moment(struct trace_reader *reader, struct tally_moment *ret_moment);
int trace_reader_next_tally_stack(struct trace_reader *reader, struct tally_stack *ret_stack);
/* Both from the first one again. */
void trace_reader_rewind_tally(struct trace_reader *reader);

/* Does the current block begin a segment? Then it has no events; the live slots are what it says already, with other sequences than
 * before, but the same numbers: who read what was before it need not look. */
int trace_reader_is_segment(const struct trace_reader *reader);
/* What the live block in this slot counts as, in a weighted trace. */
struct trace_weight trace_reader_weight(const struct trace_reader *reader, uint32_t slot);
/* When the live blocks were allocated, slot by slot; and which are their threads' latest allocations. 1, or 0 after the last one. */
int trace_reader_next_birth(struct trace_reader *reader, uint32_t *ret_slot, uint64_t *ret_time_ns);
int trace_reader_next_latest(struct trace_reader *reader, uint32_t *ret_thread_id, uint32_t *ret_slot);

const struct live_slots *trace_reader_slots(const struct trace_reader *reader);
/* Heap level and totals after the events read so far. */
const struct trace_level *trace_reader_level(const struct trace_reader *reader);
const struct trace_totals *trace_reader_totals(const struct trace_reader *reader);
/* File position after the current block: for a progress bar. */
uint64_t trace_reader_position(const struct trace_reader *reader);

#endif
