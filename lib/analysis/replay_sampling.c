/* See replay_sampling.h. The variance of a sum of bytes is the sum, over the sampled blocks, of (1 - p) (bytes / p)^2. */
#include "replay_sampling.h"

#include "random.h"
#include "replay_state.h"
#include "sampling_probability.h"
#include "trace_weight.h"

#define ALWAYS_RECORDED (TRACE_ARENA | TRACE_MAPPING)

static struct replay_weight as_it_is(const struct trace_event *event)
{
    return (struct replay_weight){event->size_bytes, 1, 0};
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
        return (struct replay_weight){size_bytes, 1, 0};
    return (struct replay_weight){(uint64_t)(bytes + fraction), (uint64_t)(1 / p + fraction), (1 - p) * bytes * bytes};
}

/* What the reader has found. */
static struct replay_weight told(const struct trace_event *event)
{
    struct trace_weight weight = {event->weight_bytes, event->count};
    return (struct replay_weight){weight.bytes, weight.count, trace_weight_variance(event->size_bytes, weight)};
}

struct replay_weight replay_sampled_copy(const struct replay_state *state, const struct trace_event *event)
{
    if (state->is_weighted)
        return told(event);
    uint64_t interval_bytes = interval_of(state, event, 0);
    return interval_bytes ? weigh(state, event->size_bytes, interval_bytes) : as_it_is(event);
}

/* A failed realloc gives a block back what it was. */
static int is_given_back(const struct replay_state *state, const struct trace_event *event)
{
    const struct last_free *freed = &state->threads[state->thread_id].last_free;
    return event->kind == TRACE_UNDO_FREE && freed->valid && freed->size_bytes == event->size_bytes && freed->stack_id == event->stack_id;
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
        *weight = (struct replay_weight){0, 0, 0};
    state->live_variance += weight->variance;
    if (event->kind == TRACE_ALLOCATE && !(event->flags & TRACE_INHERITED))
        state->allocated_variance += weight->variance;
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
