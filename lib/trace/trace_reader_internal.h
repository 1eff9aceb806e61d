/* The inside of a trace_reader, for trace_reader*.c and trace_insert.c only. */
#ifndef HEAPLINE_TRACE_TRACE_READER_INTERNAL_H
#define HEAPLINE_TRACE_TRACE_READER_INTERNAL_H

#include <zstd.h>

#include "definition_codec.h"
#include "event_decoder.h"
#include "segment_codec.h"
#include "tally_codec.h"
#include "trace_block.h"
#include "trace_reader.h"
#include "trace_space.h"

/* Bytes by where they stand in the stream. */
struct trace_source {
    int file;
    int is_rotated;            /* `space` says where they are in the file; else they are where they are */
    struct trace_space space;
};

struct trace_reader {
    struct event_decoder events;
    struct definition_counts definitions;
    const uint8_t *next_definition, *definitions_end;
    int events_begun;              /* the block's definitions are all counted */
    int events_status;             /* what comes after the events that were given out; 0: not known yet */

    struct trace_block block;      /* the current one */
    uint64_t block_offset;         /* of its header */
    uint64_t next_offset;          /* of the next block's header */
    uint64_t data_end;             /* of the last good data block */
    uint32_t scan_sequence;        /* of the next block to be scanned */
    uint32_t next_sequence;        /* unless a part of the file begins there */
    int in_block;
    struct tally_payload tally;    /* of a tally block */
    struct tally_cursor moments, stacks;
    struct segment_payload segment; /* of a segment block */
    uint32_t birth_slot;           /* whose birth comes next, or that of a free one before it */
    uint64_t previous_birth;
    int status;                    /* 0, or why the reader stays at the end */

    struct trace_source source;
    struct trace_overview overview;
    uint64_t peak_object_bytes;    /* at the overview's peak */
    struct status_detail damage;
    ZSTD_DCtx *zstd;
    uint8_t *raw, *stored;
    size_t raw_capacity, stored_capacity;
};

/* pread, all of it where the trace has it. Returns the bytes read, or -1 (errno). */
int64_t trace_read_at(const struct trace_source *source, void *to, size_t bytes, uint64_t offset);

/* Read and check the header of the block at `offset`, which must be number `sequence`, or 0 where a part of the file begins.
 * Returns 0, STATUS_END (the file ends here), STATUS_TRUNCATED (it ends within the block), STATUS_CORRUPT or STATUS_SYSTEM. */
int trace_block_read(const struct trace_source *source, uint64_t file_bytes, uint64_t offset, uint32_t sequence, struct trace_block *ret_block,
                     struct status_detail *detail);

/* The current block, in reader->raw, is a tally. Returns NULL, or what is wrong with it: then nothing of it may be used. */
const char *trace_reader_begin_tally(struct trace_reader *reader);
/* It has been read: its sums go into the totals. */
void trace_reader_end_tally(struct trace_reader *reader);

/* The current block, in reader->raw, begins a segment. Returns NULL, or what is wrong with it. */
const char *trace_reader_begin_segment(struct trace_reader *reader);

/* Fill overview, damage and data_end from the headers of all blocks. Returns 0, or what trace_reader_open returns. */
int trace_reader_scan(struct trace_reader *reader, struct status_detail *detail);

#endif
