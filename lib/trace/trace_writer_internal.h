/* The inside of a trace_writer, for trace_writer*.c only. */
#ifndef HEAPLINE_TRACE_TRACE_WRITER_INTERNAL_H
#define HEAPLINE_TRACE_TRACE_WRITER_INTERNAL_H

#include <zstd.h>

#include "definition_codec.h"
#include "event_encoder.h"
#include "tally.h"
#include "tally_codec.h"
#include "trace_account.h"
#include "trace_block.h"
#include "trace_writer.h"

/* A thread's latest allocation. */
struct last_allocation {
    uint32_t slot_plus_1; /* 0: none */
    uint32_t sequence;    /* the slot may be another block's by now, or nobody's */
};

struct trace_writer {
    struct event_encoder encoder;
    struct live_slots slots;
    struct weight_table weights;       /* of a rotated trace */
    double allocated_variance, live_variance, peak_variance; /* of sums of bytes */
    struct trace_account account;
    int64_t budget;               /* events that certainly still fit into this block's columns */

    struct definition_log definitions; /* all of them: a fork needs them again */
    size_t definitions_written;        /* bytes of the log that are in closed blocks */

    struct trace_block block;     /* the one being filled: what is known at its start */
    uint64_t small_copies, small_copied_bytes;
    uint64_t lost_by_caller;      /* as trace_writer_lost said */
    uint64_t lost_here;           /* allocations that found no slot */
    uint64_t lost_written;
    uint32_t thread_id;
    uint64_t rss_bytes;

    struct tally *tally;          /* NULL: events are encoded */
    struct trace_rotation *rotation; /* events are encoded and added up; NULL: one of the two */
    struct trace_rotate rotate;
    uint64_t max_bytes;           /* of the file; 0: no bound */
    int definitions_closed;       /* there is no room for more */
    struct last_allocation *lasts; /* by thread, of those that are not the current one */
    uint32_t last_capacity;
    uint64_t run_sequence;        /* of the current thread's next allocation when it became the current one, or after one that doesn't count */

    struct trace_identity identity;
    int file;
    int failed;                   /* errno; nothing is written any more */
    uint64_t file_bytes;
    ZSTD_CCtx *zstd;
    uint8_t *raw, *stored;        /* a block on its way to the file; `stored` begins with its header */
    size_t raw_capacity, stored_capacity;
};

/* ---- between trace_writer.c, trace_writer_tally.c and trace_writer_rotate*.c ---- */

/* Note which allocation was the current thread's latest, if it has made any. */
void trace_writer_note_last(struct trace_writer *writer);
/* Room for a block of so many raw bytes. Returns 0 or -1. */
int trace_writer_reserve(struct trace_writer *writer, size_t raw_bytes);
/* The block being filled ends here: what its header says of events, time and levels. */
void trace_writer_end_block(struct trace_writer *writer);
/* The columns and the new definitions, as a block. */
void trace_writer_close_block(struct trace_writer *writer);
/* Compress and write what stands in writer->raw; raw_bytes 0: there was no memory to put it there. */
void trace_writer_put_block(struct trace_writer *writer, uint32_t type, size_t raw_bytes);

/* Is there room for events beside so many further bytes? If not, the tally begins. Adjusts the budget. Returns 0: events are added up. */
int trace_writer_keep_bound(struct trace_writer *writer, uint64_t more_bytes);
/* Returns 0: a definition would take the room that the last tally needs. */
int trace_writer_has_room_for(struct trace_writer *writer, const struct trace_definition *definition);

/* What the functions of trace_writer.h do while events are added up; sizes, stacks and flags are checked already. */
uint32_t trace_writer_tally_allocate(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
void trace_writer_tally_free(struct trace_writer *writer, uint32_t slot, unsigned flags);
uint32_t trace_writer_tally_undo_free(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
void trace_writer_tally_shrink(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes);
void trace_writer_tally_copy(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id);
/* Time has moved on: also writes a tally if it is time for one. */
void trace_writer_tally_time(struct trace_writer *writer, uint64_t time_ns);
/* Write a tally if it is time for one. */
void trace_writer_flush_tally(struct trace_writer *writer);
/* Write the last one. */
void trace_writer_end_tally(struct trace_writer *writer);

/* What the stretch adds up to, the payload of a tally without definitions; ends its last moment. Returns writer->raw, NULL without memory. */
uint8_t *trace_writer_tally_payload(struct trace_writer *writer, uint64_t start_ns, struct trace_tally *ret_figures, size_t *ret_bytes);

/* The same, and more, while old parts of the trace make room for new ones. */
uint32_t trace_writer_rotation_allocate(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
void trace_writer_rotation_free(struct trace_writer *writer, uint32_t slot, unsigned flags);
uint32_t trace_writer_rotation_undo_free(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id, unsigned flags);
void trace_writer_rotation_shrink(struct trace_writer *writer, uint32_t slot, uint64_t size_bytes);
void trace_writer_rotation_copy(struct trace_writer *writer, uint64_t size_bytes, uint32_t stack_id);
void trace_writer_rotation_time(struct trace_writer *writer, uint64_t time_ns);
void trace_writer_rotation_thread(struct trace_writer *writer, uint32_t thread_id);
void trace_writer_rotation_sampling(struct trace_writer *writer, uint64_t interval_bytes);
/* One of the events that state a figure or two. */
void trace_writer_rotation_figures(struct trace_writer *writer, unsigned op, uint64_t first, uint64_t second);
void trace_writer_rotation_flush(struct trace_writer *writer);
/* Say how many events are lost, if there are more. */
void trace_writer_rotation_flush_lost(struct trace_writer *writer);
/* Returns 0: so many bytes of definitions are not to be added. */
int trace_writer_rotation_has_room(struct trace_writer *writer, size_t bytes);
/* Write the block in writer->stored. Returns 0 or an errno. */
int trace_writer_rotation_write(struct trace_writer *writer, size_t bytes);
/* All is written; the end block is about to be. */
void trace_writer_rotation_end(struct trace_writer *writer);
/* That has been written too. */
void trace_writer_rotation_close(struct trace_writer *writer);
void trace_writer_rotation_done(struct trace_writer *writer);

#endif
