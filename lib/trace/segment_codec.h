/* What is live where a segment of a rotated trace begins <-> the payload of a segment block (docs/trace_format.md, "Segment blocks"): with
 * it, whoever reads needs nothing of what was before. The encoder writes into room that its caller made; the decoder trusts nothing.
 * One thread; reading allocates the live slots. */
#ifndef HEAPLINE_TRACE_SEGMENT_CODEC_H
#define HEAPLINE_TRACE_SEGMENT_CODEC_H

#include <stddef.h>

#include "event_model.h"
#include "live_slots.h"
#include "trace_event.h"
#include "trace_weight.h"
#include "varint.h"

/* A block's birth is written in units of 2^20 ns. */
#define SEGMENT_BIRTH_SHIFT 20

/* What a segment begins with. */
struct segment_state {
    const struct live_slots *slots; /* linked anew: live_slots_relink */
    const struct weight_table *weights;
    const uint32_t *births;         /* of live slots, in their order */
    const uint8_t *definitions;
    size_t definition_bytes;
    const struct segment_latest *latest;
    uint32_t latest_count;
};

/* A thread's latest allocation, which is live still. */
struct segment_latest {
    uint32_t thread_id, slot;
};

/* Put the payload. With `to` NULL it is only measured. Returns its bytes. */
size_t segment_put(const struct segment_state *state, uint8_t *to);

struct segment_payload {
    const uint8_t *definitions, *definitions_end;
    const uint8_t *births, *births_end;
    const uint8_t *latest, *latest_end;
    const uint8_t *columns[4], *column_ends[4]; /* gaps, sizes, flags, stacks */
};

/* Lengths of the sections. `raw` has VARINT_MAX_BYTES readable bytes behind it. Returns NULL or what is wrong, a clause. */
const char *segment_begin(struct segment_payload *payload, const uint8_t *raw, size_t raw_bytes);
/* Make slots, their weights and the model what they were where the segment began, in the writer. Returns NULL, or what is wrong: they are then of no use.
 * *ret_level: of what is live. */
struct segment_target {
    struct live_slots *slots;
    struct weight_table *weights;
    struct event_model *model;
};
const char *segment_restore(const struct segment_payload *payload, uint32_t stack_count, uint32_t thread_count,
                            const struct segment_target *target, struct trace_level *ret_level);
/* The next live block's birth, or the next thread's latest allocation. Return 0 at the end. */
int segment_next_birth(struct segment_payload *payload, uint64_t *previous, uint64_t *ret_time_ns);
int segment_next_latest(struct segment_payload *payload, struct segment_latest *ret_latest);

#endif
