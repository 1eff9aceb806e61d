/* Tallies <-> the payload of a tally block (docs/trace_format.md, "Tally blocks"). The encoder writes into room that its caller made;
 * the decoder trusts nothing: everything that can be checked within the payload is, before anything of it is handed out.
 * One thread; never allocates. */
#ifndef HEAPLINE_TRACE_TALLY_CODEC_H
#define HEAPLINE_TRACE_TALLY_CODEC_H

#include <stddef.h>

#include "live_slots.h"
#include "trace_format.h"
#include "trace_tally.h"
#include "varint.h"

/* No row takes more. */
#define TALLY_FIGURES_MAX_BYTES (12 * VARINT_MAX_BYTES)
#define TALLY_MOMENT_MAX_BYTES (4 * VARINT_MAX_BYTES)
#define TALLY_STACK_MAX_BYTES (1 + 18 * VARINT_MAX_BYTES)

uint8_t *tally_put_figures(uint8_t *to, const struct trace_tally *tally);
/* previous_ns: the moment before, or the stretch's start. */
uint8_t *tally_put_moment(uint8_t *to, const struct tally_moment *moment, uint64_t *previous_ns);
/* next_id: 0 before the first, then whatever the last call left. Stacks come in the order of their ids. */
uint8_t *tally_put_stack(uint8_t *to, const struct tally_stack *stack, uint32_t *next_id);

/* Where reading goes on; a copy is a bookmark. */
struct tally_cursor {
    const uint8_t *next, *end;
    uint64_t previous_ns;
    uint64_t next_id;
};

struct tally_payload {
    struct trace_tally tally;
    struct trace_totals sums;      /* of all stacks: allocated_bytes, allocations, copied_bytes, copies */
    const uint8_t *definitions, *definitions_end;
    struct tally_cursor moments, stacks; /* at the first one */
};

/* What the payload is checked against. */
struct tally_context {
    struct trace_level start_level;
    uint32_t stack_count;          /* stacks are numbered up to this */
    const struct live_slots *slots;
};

/* Lengths of the sections: sets definitions, moments and stacks, so that definitions can be read before all else. `raw` has
 * VARINT_MAX_BYTES readable bytes behind it. Returns NULL or what is wrong, a clause. */
const char *tally_payload_begin(struct tally_payload *payload, const uint8_t *raw, size_t raw_bytes);
/* Of the figures, only the totals since the trace's beginning; unchecked. */
void tally_payload_totals(struct tally_payload *payload);
/* Read and check everything but the definitions. payload->tally holds what the block's header says; the rest is filled in.
 * Returns NULL or what is wrong. */
const char *tally_payload_check(struct tally_payload *payload, const struct tally_context *context);

/* The next one of a payload that has been checked. Returns 0 at the end. */
int tally_next_moment(struct tally_cursor *cursor, struct tally_moment *ret_moment);
int tally_next_stack(struct tally_cursor *cursor, struct tally_stack *ret_stack);

#endif
