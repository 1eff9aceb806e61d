/* See replay_sampling.h. The variance of a sum of bytes is the sum, over the sampled blocks, of (1 - p) (bytes / p)^2; that of their count the sum of
 * what trace_weight.h says, kept by stack. */
#include "replay_sampling.h"

#include <math.h>

#include "random.h"
#include "replay_state.h"
#include "sampling_probability.h"

#define ALWAYS_RECORDED (TRACE_ARENA | TRACE_MAPPING)

static struct replay_weight as_it_is(const struct trace_event *event)
{
    return (struct replay_weight){event->size_bytes, 1, 0, 0};
}

/* By which interval was it taken, by the current thread? 0: it was certain to be. None of no bytes is ever sampled. */
static uint64_t interval_of(const struct replay_state *state, const struct trace_event *event, unsigned flags)
{
    return flags & ALWAYS_RECORDED || event->size_bytes == 0 ? 0 : state->threads[state->thread_id].sampling_interval_bytes;
}

/* The random number is the event's: another pass finds the same. */
static struct replay_weight weigh(const struct replay_state *state, uint64_t size_bytes, uint64_t interval_bytes)
{
    uint64_t seed = state->event_count;
    double p = sampling_probability(size_bytes, interval_bytes), bytes = (double)size_bytes / p, fraction = random_fraction(&seed);
    if (p >= 1)
        return (struct replay_weight){size_bytes, 1, 0, 0};
    struct trace_weight weight = {(uint64_t)(bytes + fraction), (uint64_t)(1 / p + fraction)};
    return (struct replay_weight){weight.bytes, weight.count, (1 - p) * bytes * bytes, trace_weight_count_variance(size_bytes, weight)};
}

struct replay_weight replay_weight_of(uint64_t size_bytes, struct trace_weight weight)
{
    return (struct replay_weight){weight.bytes, weight.count, trace_weight_variance(size_bytes, weight),
                                  trace_weight_count_variance(size_bytes, weight)};
}

/* What the reader has found. */
static struct replay_weight told(const struct trace_event *event)
{
    return replay_weight_of(event->size_bytes, (struct trace_weight){event->weight_bytes, event->count});
}

static struct replay_weight weight_of_copy(const struct replay_state *state, const struct trace_event *event)
{
    if (state->is_weighted)
        return told(event);
    uint64_t interval_bytes = interval_of(state, event, 0);
    return interval_bytes ? weigh(state, event->size_bytes, interval_bytes) : as_it_is(event);
}

/* Of the event's stack; NULL: there is no memory, so that nobody knows any more. */
static struct count_error *error_of(struct replay_state *state, const struct trace_event *event)
{
    struct stack_uses *uses = &state->replay->uses;
    uint32_t use_id = stack_uses_get(uses, event->stack_id);
    struct count_error *error = use_id ? stack_uses_error(uses, use_id) : NULL;
    if (!error)
        state->replay->totals.has_unknown_errors = 1;
    return error;
}

struct replay_weight replay_sampled_copy(struct replay_state *state, const struct trace_event *event)
{
    struct replay_weight weight = weight_of_copy(state, event);
    struct count_error *error = weight.count_variance > 0 ? error_of(state, event) : NULL;
    if (error)
        count_error_add_copy(error, weight.count_variance);
    return weight;
}

/* A failed realloc gives a block back what it was. */
static int is_given_back(const struct replay_state *state, const struct trace_event *event)
{
    const struct last_free *freed = &state->threads[state->thread_id].last_free;
    return event->kind == TRACE_UNDO_FREE && freed->valid && freed->size_bytes == event->size_bytes && freed->stack_id == event->stack_id;
}

/* The block becomes live. */
static void add_variance(struct replay_state *state, const struct trace_event *event, const struct replay_weight *weight)
{
    int is_counted = event->kind == TRACE_ALLOCATE && !(event->flags & TRACE_INHERITED);
    state->live_variance += weight->variance;
    state->allocated_variance += is_counted ? weight->variance : 0;
    struct count_error *error = weight->count_variance > 0 ? error_of(state, event) : NULL;
    if (error)
        count_error_add_block(error, weight->count_variance, is_counted);
}

struct replay_weight replay_sampled_allocation(struct replay_state *state, const struct trace_event *event)
{
    struct replay_weight *weight = &state->weights[event->slot];
    uint64_t interval_bytes = interval_of(state, event, event->flags);
    if (state->is_weighted)
        *weight = told(event);
    else if (is_given_back(state, event))
        *weight = state->threads[state->thread_id].freed_weight;
    else if (interval_bytes)
        *weight = weigh(state, event->size_bytes, interval_bytes);
    else
        *weight = (struct replay_weight){0, 0, 0, 0};
    add_variance(state, event, weight);
    return weight->count ? *weight : as_it_is(event);
}

struct replay_weight replay_sampled_free(struct replay_state *state, const struct trace_event *event)
{
    struct replay_weight *weight = &state->weights[event->slot];
    if (state->is_weighted)
        *weight = told(event);
    state->threads[state->thread_id].freed_weight = *weight;
    if (!weight->count)
        return as_it_is(event);
    state->live_variance -= weight->variance;
    struct count_error *error = weight->count_variance > 0 ? error_of(state, event) : NULL;
    if (error)
        error->live -= weight->count_variance;
    return *weight;
}

int replay_sampling_change(struct replay_state *state, uint64_t interval_bytes)
{
    struct replay_totals *totals = &state->replay->totals;
    state->threads[state->thread_id].sampling_interval_bytes = interval_bytes;
    if (interval_bytes > totals->sampling_interval_bytes)
        totals->sampling_interval_bytes = interval_bytes;
    state->is_sampled |= interval_bytes != 0;
    return !state->is_sampled || ARRAY_RESERVE(state->weights, state->weight_capacity, state->birth_capacity) ? STATUS_OK : STATUS_NO_MEMORY;
}
