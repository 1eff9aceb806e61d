/* Columns -> events, applied to the live slots: the inverse of event_encoder.h. Trusts nothing: sections come from a file that
 * may have been made by anyone; every stack, slot, distance and length is checked, and memory grows only with the live set. One
 * thread; allocates in event_decoder_init and when the live slots grow. */
#ifndef HEAPLINE_TRACE_EVENT_DECODER_H
#define HEAPLINE_TRACE_EVENT_DECODER_H

#include "event_model.h"
#include "live_slots.h"
#include "status.h"
#include "trace_account.h"
#include "trace_event.h"
#include "varint.h"

struct event_decoder {
    struct event_model *model;
    struct live_slots slots;
    struct trace_account account;
    struct weight_table weights;
    int is_weighted;        /* what is sampled counts as what it stands for */
    uint32_t run;           /* predicted events still to come */
    uint32_t released_slot; /* freed by the last event, released by the next; SLOT_NONE: none */
    uint32_t stack_count, thread_count; /* defined so far: set by the owner before events are read */
    const char *problem;    /* what STATUS_CORRUPT was about: a clause */
    const uint8_t *next[SECTION_COUNT];
    const uint8_t *end[SECTION_COUNT];
};

/* Returns 0 or STATUS_NO_MEMORY. */
int event_decoder_init(struct event_decoder *decoder, uint32_t format_version, const struct trace_identity *identity);
void event_decoder_done(struct event_decoder *decoder);

/* Sections begin: `raw` is a whole payload with VARINT_MAX_BYTES readable bytes behind it. Returns 0 or STATUS_CORRUPT. */
int event_decoder_begin_block(struct event_decoder *decoder, const uint8_t *raw, size_t raw_bytes);

/* Returns 0, STATUS_END (all columns are used up), STATUS_CORRUPT (decoder->problem) or STATUS_NO_MEMORY. */
int event_decoder_next(struct event_decoder *decoder, struct trace_event *event);
/* The same, as often as there is room. Returns how many were decoded; *ret_status: 0, or what the one after them gave. */
size_t event_decoder_next_many(struct event_decoder *decoder, struct trace_event *events, size_t capacity, int *ret_status);

#endif
