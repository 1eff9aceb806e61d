/* The inside of a trace_writer, for trace_writer.c and trace_writer_fork.c only. */
#ifndef HEAPLINE_TRACE_TRACE_WRITER_INTERNAL_H
#define HEAPLINE_TRACE_TRACE_WRITER_INTERNAL_H

#include <zstd.h>

#include "definition_codec.h"
#include "event_encoder.h"
#include "trace_account.h"
#include "trace_block.h"
#include "trace_writer.h"

struct trace_writer {
    struct event_encoder encoder;
    struct live_slots slots;
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

    int file;
    int failed;                   /* errno; nothing is written any more */
    uint64_t file_bytes;
    ZSTD_CCtx *zstd;
    uint8_t *raw, *stored;        /* a block on its way to the file; `stored` begins with its header */
    size_t raw_capacity, stored_capacity;
};

#endif
