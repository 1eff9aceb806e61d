/* Writes a trace: events and definitions go in, checksummed compressed blocks come out (docs/trace_format.md).
 *
 * Events are encoded into columns as they come; a block is closed when it is full or when trace_writer_flush says so.
 * A block carries its definitions before its events, and a summary in its header: what came first, when, how many, the
 * highest level within, so that a reader finds the peak's block without decoding any.
 * One thread. Memory: one block of columns, one of output, the live slots, and all definitions (for trace_writer_fork).
 * After a write error (full disk) the writer drops what comes and says so in trace_writer_failed; nothing already written is
 * touched, so the file stays readable up to its last whole block. */
#ifndef HEAPLINE_TRACE_TRACE_WRITER_H
#define HEAPLINE_TRACE_TRACE_WRITER_H

#include "live_slots.h"
#include "trace_event.h"
#include "trace_tally.h"

struct trace_writer;

/* Start a trace on an open, empty, seekable file (owned by the caller, who closes it after trace_writer_close).
 * Returns 0, STATUS_NO_MEMORY, or STATUS_SYSTEM (errno). */
int trace_writer_open(int file, const struct trace_identity *identity, struct trace_writer **ret_writer);

/* Let the file grow to so many bytes at most (0: no bound). What the bound allows, less a reserve, is filled with events; from there on the
 * writer adds events up (trace_tally.h), and its functions do all the same for their caller: slots, totals and level stay exact.
 * Only where tallies would be larger than the bound allows, because it is too small for that many stacks, the file exceeds it. */
void trace_writer_bound(struct trace_writer *writer, uint64_t max_bytes);
/* The same at once, whatever the size. */
void trace_writer_begin_tally(struct trace_writer *writer);
/* Are events of a trace that isn't rotated added up by now? */
int trace_writer_adds_up(const struct trace_writer *writer);
/* What holds now; 0: no bound. */
uint64_t trace_writer_bound_bytes(const struct trace_writer *writer);

/* Let old parts of the file make room for new ones, for ever. */
struct trace_rotate {
    uint64_t max_bytes;      /* of the file */
    uint64_t segment_bytes;  /* events are listed in segments, of which whole ones make room: where one ends; 0: a sixteenth of the file */
    uint64_t segment_ns;     /* and after so much time; 0: whatever time it takes */
};

/* Before any event. What was listed and makes room is added up. Returns 0 or STATUS_NO_MEMORY. */
int trace_writer_rotate(struct trace_writer *writer, const struct trace_identity *identity, const struct trace_rotate *settings);

int trace_writer_is_rotated(const struct trace_writer *writer);

/* Definitions: copied at once. Numbers must come in order (trace_event.h). Strings past 1 MiB are cut, line tables past 16 MiB
 * left out. Returns 0, STATUS_INVALID (a number out of order, a reference to what isn't defined), STATUS_NO_MEMORY or
 * STATUS_TOO_LARGE (it would exceed the file's bound; properties never do): then nothing is defined. */
int trace_writer_define(struct trace_writer *writer, const struct trace_definition *definition);

/* Has a definition been refused for want of room? Then all further ones are. */
int trace_writer_definitions_closed(const struct trace_writer *writer);

/* Events. Each returns what the caller needs next and never fails visibly: see trace_writer_failed.
 * Sizes past 2^56 - 1 count as that; an undefined stack counts as the empty one, an undefined thread as thread 0 (unknown). */

/* Returns the slot of the new block, or SLOT_NONE without memory (then the event is counted as lost). */
uint32_t trace_writer_allocate(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
/* The slot must be live. flags: TRACE_REALLOC or 0. */
void trace_writer_free(struct trace_writer *writer, uint32_t slot, unsigned flags);
void trace_writer_shrink(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes);
uint32_t trace_writer_undo_free(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
void trace_writer_copy(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id);

/* Times must not run backwards: an earlier one is ignored. */
void trace_writer_time(struct trace_writer *writer, uint64_t time_ns);
void trace_writer_thread(struct trace_writer *writer, uint32_t thread_id);
/* The current thread samples by this interval from here on. Not while events of a bounded trace are added up:
 * sums of them could not be weighted. Those of a rotated one are. */
void trace_writer_sampling(struct trace_writer *writer, uint64_t interval_bytes);
void trace_writer_rss(struct trace_writer *writer, uint64_t rss_bytes);
/* The largest resident set of all, where that is known better than from the samples: goes into the totals. */
void trace_writer_peak_rss(struct trace_writer *writer, uint64_t rss_bytes);
/* Running totals, written only when changed. */
void trace_writer_lost(struct trace_writer *writer, uint64_t events);
void trace_writer_small_copies(struct trace_writer *writer, uint64_t copies, uint64_t bytes);
void trace_writer_unknown_frees(struct trace_writer *writer, uint64_t frees);

/* The live set, for the caller's address table: slot contents, read only. */
const struct live_slots *trace_writer_slots(const struct trace_writer *writer);
/* How many deallocations so far were of a block that many others had followed, in no order that was predicted: when this moves, memory is
 * touched that was not touched for long. */
uint64_t trace_writer_far_frees(const struct trace_writer *writer);
/* Running totals and level; valid until the next call. */
const struct trace_totals *trace_writer_totals(const struct trace_writer *writer);

/* Close the block that is being filled and write it, if it holds anything. While events are added up: write a tally when a sixteenth of
 * the trace's time has passed since the last one, and there is room. */
void trace_writer_flush(struct trace_writer *writer);
/* Bytes of columns waiting for the next flush, and file bytes written so far. */
size_t trace_writer_pending_bytes(const struct trace_writer *writer);
uint64_t trace_writer_file_bytes(const struct trace_writer *writer);

/* 0, or the errno of the write that failed. */
int trace_writer_failed(const struct trace_writer *writer);

/* Begin a trace of a forked child from the same state: a writer on another file whose first blocks define all that
 * `writer` has defined and allocate all that is live, as TRACE_INHERITED (arenas keep TRACE_ARENA). Slot numbers change:
 * ret_slot_map[old slot] = new slot, allocated with malloc, freed by the caller. */
struct trace_slot_intervals {
    const uint8_t *ids;    /* by slot: which interval its block was sampled by; 0 behind the last one */
    uint32_t id_count;
    const uint64_t *bytes; /* by id; of 0 the trace's */
};
int trace_writer_fork(const struct trace_writer *writer, int file, const struct trace_identity *identity,
                      const struct trace_slot_intervals *intervals, struct trace_writer **ret_writer, uint32_t **ret_slot_map);
/* Start a trace with the same stacks, code objects, modules and threads defined under the same numbers, no properties, and nothing live: a
 * further recording of the same process. `rotate`: as trace_writer_rotate takes it, or with nothing but a bound (0: none) as trace_writer_bound. The old
 * writer stays as it is. Returns as trace_writer_open, or STATUS_NO_MEMORY. */
int trace_writer_continue(const struct trace_writer *writer, int file, const struct trace_identity *identity, const struct trace_rotate *rotate,
                          struct trace_writer **ret_writer);

/* Go on in another file, which holds the same trace_writer_file_bytes already. The caller owns both. */
void trace_writer_redirect(struct trace_writer *writer, int file);

/* Flush, write the end block (totals are filled in by the writer), release everything. NULL does nothing.
 * `end` NULL: no end block, as after a kill of the collector. Returns what trace_writer_failed would say then. */
int trace_writer_close(struct trace_writer *writer, const struct trace_end *end);

#endif
