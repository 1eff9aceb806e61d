/* Events -> columns. Consumes events whose slots the writer has already assigned, produces the sections of one block after the
 * other (docs/trace_format.md, "Events"). An event that the model predicted only lengthens a run: the path written here.
 * Every column has room for a whole block, and the writer closes a block before room runs out, so nothing here is checked.
 * One thread; allocates only in event_encoder_init. */
#ifndef HEAPLINE_TRACE_EVENT_ENCODER_H
#define HEAPLINE_TRACE_EVENT_ENCODER_H

#include "event_model.h"
#include "live_slots.h"
#include "trace_event.h"
#include "varint.h"

/* No event adds more than this to all columns together. */
#define ENCODER_EVENT_BYTES 32u
#define ENCODER_COLUMN_BYTES (TRACE_BLOCK_RAW_BYTES + (64u << 10))

/* What was touched so many allocations ago has left a core's own cache. */
#define ENCODER_FAR_DISTANCE 65536u

struct event_encoder {
    struct event_model *model;
    uint32_t run;  /* predicted events that no op stands for yet */
    uint64_t far_frees; /* unpredicted deallocations of blocks that ENCODER_FAR_DISTANCE and more allocations had followed */
    uint8_t *next[SECTION_COUNT];  /* where each column goes on; the definitions' is unused */
    uint8_t *start[SECTION_COUNT];
};

/* Returns 0 or STATUS_NO_MEMORY. */
int event_encoder_init(struct event_encoder *encoder);
void event_encoder_done(struct event_encoder *encoder);

/* All that is open becomes bytes: before the columns are taken. */
void event_encoder_end_block(struct event_encoder *encoder);
/* Bytes in all columns. */
size_t event_encoder_bytes(const struct event_encoder *encoder);
/* Empty columns for the next block; what the model has learnt stays. */
void event_encoder_begin_block(struct event_encoder *encoder);

void event_encoder_block_miss(struct event_encoder *encoder, struct model_prediction *prediction, unsigned class,
                              uint32_t stack_id, uint64_t size_bytes);
void event_encoder_free_miss(struct event_encoder *encoder, struct model_prediction *prediction, unsigned class, uint32_t slot,
                             uint32_t distance, uint32_t stride);
void event_encoder_end_run(struct event_encoder *encoder);

HOT_INLINE void event_encoder_put_op(struct event_encoder *encoder, unsigned op)
{
    *encoder->next[SECTION_OPS]++ = (uint8_t)op;
}

HOT_INLINE void event_encoder_put(struct event_encoder *encoder, enum trace_section section, uint64_t value)
{
    encoder->next[section] = varint_put(encoder->next[section], value);
}

HOT_INLINE void event_encoder_hit(struct event_encoder *encoder)
{
    if (unlikely(++encoder->run == OP_RUN_MAX))
        event_encoder_end_run(encoder);
}

/* An allocation (class: CLASS_ALLOCATE + flags) or a copy (CLASS_COPY). */
HOT_INLINE void event_encoder_block(struct event_encoder *encoder, unsigned class, uint32_t stack_id, uint64_t size_bytes)
{
    struct model_prediction *prediction = model_predict(encoder->model);
    if (likely(prediction->key == MODEL_KEY(class, stack_id) && prediction->value == size_bytes))
        event_encoder_hit(encoder);
    else
        event_encoder_block_miss(encoder, prediction, class, stack_id, size_bytes);
    model_push(encoder->model, class, stack_id);
}

HOT_INLINE void event_encoder_allocate(struct event_encoder *encoder, uint32_t slot, unsigned flags, uint32_t stack_id,
                                       uint64_t size_bytes)
{
    model_allocated_unread(encoder->model, slot);
    event_encoder_block(encoder, CLASS_ALLOCATE + flags, stack_id, size_bytes);
}

/* `freed` is still live. */
HOT_INLINE void event_encoder_free(struct event_encoder *encoder, uint32_t slot, const struct live_slot *freed, unsigned class)
{
    struct event_model *model = encoder->model;
    struct model_prediction *prediction = model_predict(model);
    uint32_t sequence = freed->sequence, stride = sequence - model->last_freed;
    uint32_t distance = model_distance(model, slot, sequence);
    if (likely(((prediction->key == MODEL_KEY(class, 0) && (uint32_t)prediction->value == distance) ||
                (prediction->key == MODEL_KEY(class, 1) && prediction->value >> 32 == stride)) && distance))
        event_encoder_hit(encoder);
    else
        event_encoder_free_miss(encoder, prediction, class, slot, distance, stride);
    model_freed(model, sequence);
    model_push(model, CLASS_FREE, freed->stack_id);
}

/* Everything else: an op and the numbers that go with it. */
HOT_INLINE void event_encoder_other(struct event_encoder *encoder, unsigned op)
{
    event_encoder_end_run(encoder);
    event_encoder_put_op(encoder, op);
}

#endif
