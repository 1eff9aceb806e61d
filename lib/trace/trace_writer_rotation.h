/* A rotated trace being written: the inside of trace_writer_rotate.c and trace_writer_rotate_events.c only.
 *
 * Vocabulary
 *   segment   a stretch of the trace's time whose events are listed; begins with a block that says what is live. Its events are added up as
 *             well (tally.h), so that it can make room at any time
 *   history   what segments that made room add up to: tallies, the older the coarser
 * The file's parts: definitions of segments that made room | history | segments (trace_space.h). */
#ifndef HEAPLINE_TRACE_TRACE_WRITER_ROTATION_H
#define HEAPLINE_TRACE_TRACE_WRITER_ROTATION_H

#include "segment_codec.h"
#include "tally_merge.h"
#include "trace_space.h"
#include "trace_writer_internal.h"

#define ROTATION_MAX_SEGMENTS 48u
#define ROTATION_MAX_HISTORY 128u
#define ROTATION_AGE_MARKS 1024u

struct rotation_segment {
    struct space_part part;
    size_t definitions_end;       /* in the log */
    struct stored_tally summary;  /* of a finished one */
};

/* Allocations from this sequence on were made at this time or after it. */
struct age_mark {
    uint32_t sequence, age;
};

struct trace_rotation {
    uint64_t segment_bytes, segment_ns;         /* where a segment ends */
    uint64_t definitions_bytes, history_bytes;  /* no more of these */
    uint64_t reserve_bytes;                     /* kept free */
    size_t block_bytes;                         /* of columns, where a block is closed */
    struct trace_space space;
    struct space_part definitions, history_part;
    uint32_t definition_sequence;               /* of the next block of definitions */
    size_t definitions_stored;                  /* of the log: in that part */
    struct stored_tally history[ROTATION_MAX_HISTORY + 1];
    uint32_t history_count;
    struct rotation_segment segments[ROTATION_MAX_SEGMENTS];
    uint32_t segment_count;                     /* the last one is being written */
    int is_listing;                             /* events are written; 0: too much is live to begin a segment: they are only added up */
    int is_beginning;                           /* the segment: what is written now, each of them has, and ends none */
    int64_t budget;                             /* events until the block must be looked at */
    uint64_t segment_start_ns;
    struct trace_block stretch;                 /* since the segment began: its first event, when, its highest level so far … */
    struct trace_level stretch_peak;            /* … in full */
    /* when blocks were allocated: those that were live when the segment began by their sequence, the others between marks */
    uint32_t *births;
    uint32_t birth_count;
    struct age_mark marks[ROTATION_AGE_MARKS];
    uint32_t mark_count, mark_step;             /* no mark nearer in time than so many units */
};

/* The block's columns are full, or room for further events is to be made sure of: sets the budget. */
COLD void rotation_renew(struct trace_writer *writer);
/* Time has passed: a segment may be due to end. */
void rotation_time(struct trace_writer *writer);

/* ---- trace_writer_rotate_history.c ---- */

/* The writer has failed, unless `error` is 0; what it failed by first stays. */
void rotation_fail(struct trace_writer *writer, int error);
/* Have the file's index say what it holds now. `is_open`: the last segment is being written. */
void rotation_commit(struct trace_writer *writer, int is_open);
/* Definitions of the log up to `end`, apart from the segments that hold them: in blocks without events, as they stand at the beginning of the
 * stream, of no time. */
void rotation_store_definitions(struct trace_writer *writer, size_t end);
/* Takes what the summary has. */
void rotation_add_history(struct trace_writer *writer, struct stored_tally *summary);
/* Into a part of its own; the caller releases the old one once the index says so. */
void rotation_write_history(struct trace_writer *writer, struct space_part *ret_old);
/* The oldest segment becomes history. */
void rotation_drop_oldest(struct trace_writer *writer);

/* ---- for each event ---- */

/* Does the event have to be encoded? */
HOT_INLINE int rotation_begin_event(struct trace_writer *writer)
{
    struct trace_rotation *rotation = writer->rotation;
    if (unlikely(--rotation->budget <= 0))
        rotation_renew(writer);
    return rotation->is_listing;
}

#endif
