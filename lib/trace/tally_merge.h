/* Tallies that a rotated trace keeps of its past: encoded, in memory as in the file, and made coarser as they grow old.
 *
 * Consumes what a tally block holds, without definitions; produces the same for two stretches that follow each other, taken together. Sums add
 * up, the high-water mark stays exact by stack; of the timeline's moments those next to each other become one.
 * One thread; allocates. */
#ifndef HEAPLINE_TRACE_TALLY_MERGE_H
#define HEAPLINE_TRACE_TALLY_MERGE_H

#include <zstd.h>

#include "tally_codec.h"
#include "trace_block.h"

#define STORED_TALLY_MOMENTS 64u /* a merged one has no more */

struct stored_tally {
    struct trace_block block;  /* its header; the sequence is its writer's */
    struct trace_tally tally;
    uint8_t *payload;          /* block.stored_bytes */
};

void stored_tally_done(struct stored_tally *stored);

/* Compress a raw payload. Returns 0 or STATUS_NO_MEMORY. */
int stored_tally_pack(struct stored_tally *stored, ZSTD_CCtx *zstd, const uint8_t *raw, size_t raw_bytes);

/* `first` becomes both of them; `second`, which follows it, nothing. Returns 0, STATUS_NO_MEMORY or STATUS_TOO_LARGE (a block can't hold it):
 * both are then what they were. */
int stored_tally_merge(struct stored_tally *first, struct stored_tally *second, ZSTD_CCtx *zstd);

#endif
