/* Events that were not predicted, and the columns' storage (event_encoder.h). One thread; allocates in event_encoder_init. */
#include "event_encoder.h"

#include <stdlib.h>

#include "status.h"

int event_encoder_init(struct event_encoder *encoder)
{
    *encoder = (struct event_encoder){0};
    encoder->model = event_model_new(MODEL_RING_LENGTH);
    uint8_t *columns = malloc((size_t)SECTION_COUNT * ENCODER_COLUMN_BYTES);
    if (!encoder->model || !columns) {
        free(encoder->model);
        free(columns);
        return STATUS_NO_MEMORY;
    }
    for (int section = 0; section < SECTION_COUNT; section++)
        encoder->start[section] = columns + (size_t)section * ENCODER_COLUMN_BYTES;
    event_encoder_begin_block(encoder);
    return 0;
}

void event_encoder_done(struct event_encoder *encoder)
{
    free(encoder->model);
    free(encoder->start[0]);
}

void event_encoder_begin_block(struct event_encoder *encoder)
{
    memcpy(encoder->next, encoder->start, sizeof(encoder->next));
}

void event_encoder_end_block(struct event_encoder *encoder)
{
    event_encoder_end_run(encoder);
}

size_t event_encoder_bytes(const struct event_encoder *encoder)
{
    size_t bytes = 0;
    for (int section = 0; section < SECTION_COUNT; section++)
        bytes += (size_t)(encoder->next[section] - encoder->start[section]);
    return bytes;
}

void event_encoder_end_run(struct event_encoder *encoder)
{
    if (encoder->run)
        event_encoder_put_op(encoder, OP_RUN + encoder->run - 1);
    encoder->run = 0;
}

static enum op_block_stack stack_op(const struct event_model *model, const struct model_prediction *prediction, uint32_t stack_id)
{
    unsigned class = prediction->key & 0xff;
    if (class != CLASS_FREE && class != CLASS_FREE_REALLOC && prediction->key >> 8 == stack_id && class != CLASS_NONE)
        return OP_STACK_PREDICTED;
    if (stack_id == model->highest_stack + 1)
        return OP_STACK_NEW;
    if (model->stacks[model->last_stack % MODEL_STACKS].successor == stack_id)
        return OP_STACK_SUCCESSOR;
    return OP_STACK_EXPLICIT;
}

void event_encoder_block_miss(struct event_encoder *encoder, struct model_prediction *prediction, unsigned class,
                              uint32_t stack_id, uint64_t size_bytes)
{
    struct event_model *model = encoder->model;
    const struct model_stack *stack = model_stack(model, stack_id);
    enum op_block_stack stack_mode = stack_op(model, prediction, stack_id);
    unsigned op = stack_mode;
    event_encoder_end_run(encoder);
    if (stack_mode == OP_STACK_EXPLICIT)
        event_encoder_put(encoder, SECTION_STACKS, stack_id);
    if (stack->size_bytes != size_bytes) {
        op |= OP_BLOCK_SIZE;
        event_encoder_put(encoder, SECTION_SIZES, size_bytes);
    }
    if (stack->class != class) {
        op |= OP_BLOCK_CLASS;
        *encoder->next[SECTION_CLASSES]++ = (uint8_t)class;
    }
    event_encoder_put_op(encoder, op);
    model_learn_block(model, prediction, class, stack_id, size_bytes);
}

static enum op_free_mode free_op(const struct event_model *model, const struct model_prediction *prediction, unsigned class,
                                 uint32_t distance, uint32_t stride)
{
    if (((prediction->key == MODEL_KEY(class, 1) && (uint32_t)prediction->value == distance) ||
         (prediction->key == MODEL_KEY(class, 0) && prediction->value >> 32 == stride)) && distance)
        return OP_FREE_ALTERNATE;
    if (stride == model->last_stride && distance)
        return OP_FREE_STRIDE;
    return distance - 1 < MODEL_NEAR_DISTANCE ? OP_FREE_DISTANCE : OP_FREE_SLOT;
}

void event_encoder_free_miss(struct event_encoder *encoder, struct model_prediction *prediction, unsigned class, uint32_t slot,
                             uint32_t distance, uint32_t stride)
{
    struct event_model *model = encoder->model;
    enum op_free_mode mode = free_op(model, prediction, class, distance, stride);
    event_encoder_end_run(encoder);
    encoder->far_frees += distance - 1 >= ENCODER_FAR_DISTANCE;
    if (mode == OP_FREE_DISTANCE) {
        event_encoder_put(encoder, SECTION_DISTANCES, distance - 1);
    } else if (mode == OP_FREE_SLOT) {
        event_encoder_put(encoder, SECTION_SLOTS, zigzag((int64_t)slot - model->last_slot));
        model->last_slot = slot;
    }
    int trust_stride = mode == OP_FREE_ALTERNATE ? !(prediction->key >> 8) : mode == OP_FREE_STRIDE;
    event_encoder_put_op(encoder, OP_FREE | (unsigned)mode << OP_FREE_MODE_SHIFT | (class == CLASS_FREE_REALLOC));
    model_learn_free(prediction, class, trust_stride, distance, stride);
}
