/* What the next event is likely to be. Encoder and decoder feed the same model with the same events, so that an event which was
 * predicted costs a count in a run and no bytes of its own (docs/trace_format.md, "The model").
 *
 * Vocabulary
 *   context      what the last three events of this thread were: kind, and stack of the block allocated or freed
 *   prediction   what came after this context the last time
 *   distance     how many allocations ago the block that is freed now was allocated (1: by the last one)
 *   stride       from the block freed before this one to this one, in allocations
 *
 * State lives as long as the trace, across blocks. One thread; allocates nothing after event_model_new. */
#ifndef HEAPLINE_TRACE_EVENT_MODEL_H
#define HEAPLINE_TRACE_EVENT_MODEL_H

#include <stdint.h>

#include "compiler.h"
#include "trace_format.h"

#define MODEL_RING_LENGTH (1u << 20)
#define MODEL_RING_LENGTH_V1 (1u << 16)
#define MODEL_REPEATS (1ull << 32) /* so many allocations, and sequences begin anew */
#define MODEL_TABLE_BITS 14
#define MODEL_STACKS 4096u
#define MODEL_THREADS 64u
#define MODEL_NEAR_DISTANCE 256u /* the encoder names blocks of up to this distance by it, others by their slot: measured */

/* key: class, and above it the stack, or for a deallocation whether the stride is the figure to trust.
 * value: size, or stride above distance (0: too far). */
struct model_prediction {
    uint64_t key;
    uint64_t value;
};
#define MODEL_KEY(class, stack_or_stride) ((uint64_t)(class) | (uint64_t)(stack_or_stride) << 8)

/* What was seen last about a stack; shared by the stacks of equal low bits. */
struct model_stack {
    uint64_t size_bytes;
    uint32_t successor; /* the stack that came after it */
    uint32_t class;
};

struct event_model {
    uint64_t context;
    uint64_t next_sequence;   /* of the next allocation; slots and distances know its low 32 bits */
    uint32_t last_freed;      /* sequence of the block freed last */
    uint32_t last_stride;
    uint32_t last_stack;      /* of the last allocation or copy that had to be written */
    uint32_t highest_stack;   /* seen in an allocation or copy so far */
    uint32_t last_slot;       /* the last one that was written in SECTION_SLOTS */
    uint32_t last_taken;      /* encoder: the slot of the last allocation */
    uint32_t thread;
    uint64_t contexts[MODEL_THREADS];           /* of the threads that are not the current one */
    struct model_prediction table[1u << MODEL_TABLE_BITS];
    struct model_stack stacks[MODEL_STACKS];
    uint32_t ring_length;                       /* a power of two */
    uint32_t ring[];                            /* sequence -> slot of the last allocations */
};

/* NULL without memory. Freed with free(). */
struct event_model *event_model_new(uint32_t ring_length);
/* As a new one. */
void event_model_reset(struct event_model *model);

HOT_INLINE struct model_prediction *model_predict(struct event_model *model)
{
    return &model->table[model->context * 0x9e3779b97f4a7c15ull >> (64 - MODEL_TABLE_BITS)];
}

HOT_INLINE void model_push(struct event_model *model, unsigned class, uint32_t stack_id)
{
    unsigned kind = class >= CLASS_ALLOCATE ? CLASS_NONE : class;
    model->context = model->context << 21 ^ ((uint64_t)stack_id << 2 | kind);
}

HOT_INLINE struct model_stack *model_stack(struct event_model *model, uint32_t stack_id)
{
    return &model->stacks[stack_id % MODEL_STACKS];
}

/* A block took a slot: the next sequence number is its own. */
HOT_INLINE void model_allocated(struct event_model *model, uint32_t slot)
{
    model->ring[model->next_sequence++ & (model->ring_length - 1)] = slot;
}

/* The same in the encoder, which asks the ring only once sequences repeat (model_distance): before, it is not even filled. */
HOT_INLINE void model_allocated_unread(struct event_model *model, uint32_t slot)
{
    model->last_taken = slot;
    if (unlikely(model->next_sequence >= MODEL_REPEATS - model->ring_length))
        model->ring[model->next_sequence & (model->ring_length - 1)] = slot;
    model->next_sequence++;
}

/* After an allocation or a copy that had not been predicted. */
HOT_INLINE void model_learn_block(struct event_model *model, struct model_prediction *prediction, unsigned class,
                                  uint32_t stack_id, uint64_t size_bytes)
{
    struct model_stack *stack = model_stack(model, stack_id);
    prediction->key = MODEL_KEY(class, stack_id);
    prediction->value = size_bytes;
    stack->size_bytes = size_bytes;
    stack->class = class;
    model_stack(model, model->last_stack)->successor = stack_id;
    model->last_stack = stack_id;
    if (stack_id > model->highest_stack)
        model->highest_stack = stack_id;
}

/* How many allocations ago the live block in `slot` was allocated; 0: too many for the ring. Without a branch: where lifetimes are
 * random, so would it be. As long as sequences are unique the ring need not be asked. */
HOT_INLINE uint32_t model_distance(const struct event_model *model, uint32_t slot, uint32_t sequence)
{
    uint32_t distance = (uint32_t)model->next_sequence - sequence;
    uint32_t reachable = distance - 1 < model->ring_length;
    if (unlikely(model->next_sequence >= MODEL_REPEATS))
        reachable &= model->ring[sequence & (model->ring_length - 1)] == slot;
    return distance & (0 - reachable);
}

/* After every deallocation. */
HOT_INLINE void model_freed(struct event_model *model, uint32_t sequence)
{
    model->last_stride = sequence - model->last_freed;
    model->last_freed = sequence;
}

/* After a deallocation that had not been predicted. distance 0: too far for the ring. */
HOT_INLINE void model_learn_free(struct model_prediction *prediction, unsigned class, int trust_stride, uint32_t distance,
                                 uint32_t stride)
{
    prediction->key = MODEL_KEY(class, trust_stride);
    prediction->value = distance | (uint64_t)stride << 32;
}

static inline void model_switch_thread(struct event_model *model, uint32_t thread_id)
{
    model->contexts[model->thread % MODEL_THREADS] = model->context;
    model->thread = thread_id;
    model->context = model->contexts[thread_id % MODEL_THREADS];
}

#endif
