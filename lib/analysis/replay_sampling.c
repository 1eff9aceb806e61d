/* See replay_sampling.h. The variance of a sum of bytes is the sum, over the sampled blocks, of (1 - p) (bytes / p)^2. */
#include "replay_sampling.h"

#include "random.h"
#include "replay_state.h"
#include "sampling_probability.h"

#define ALWAYS_RECORDED (TRACE_ARENA | TRACE_MAPPING)

static struct replay_weight as_it_is(const struct trace_event *event)
{
    return (struct replay_weight){event->size_bytes, 1};
}

/* None of no bytes is ever sampled. */
static int is_sampled(const struct trace_event *event, unsigned flags)
{
    return !(flags & ALWAYS_RECORDED) && event->size_bytes != 0;
}

static double probability(const struct replay_state *state, uint64_t size_bytes)
{
    return sampling_probability(size_bytes, state->sampling_interval_bytes);
}

static double variance(const struct replay_state *state, uint64_t size_bytes)
{
    double p = probability(state, size_bytes), bytes = (double)size_bytes / p;
    return (1 - p) * bytes * bytes;
}

/* The random number is the event's: another pass finds the same. */
static struct replay_weight weigh(const struct replay_state *state, uint64_t size_bytes)
{
    uint64_t seed = state->event_count;
    double count = 1 / probability(state, size_bytes), fraction = random_fraction(&seed);
    return (struct replay_weight){(uint64_t)(count * (double)size_bytes + fraction), (uint64_t)(count + fraction)};
}

struct replay_weight replay_sampled_copy(const struct replay_state *state, const struct trace_event *event)
{
    return is_sampled(event, 0) ? weigh(state, event->size_bytes) : as_it_is(event);
}

struct replay_weight replay_sampled_allocation(struct replay_state *state, const struct trace_event *event)
{
    if (!is_sampled(event, event->flags))
        return as_it_is(event);
    double more = variance(state, event->size_bytes);
    state->live_variance += more;
    if (event->kind == TRACE_ALLOCATE && !(event->flags & TRACE_INHERITED))
        state->allocated_variance += more;
    return state->weights[event->slot] = weigh(state, event->size_bytes);
}

struct replay_weight replay_sampled_free(struct replay_state *state, const struct trace_event *event)
{
    if (!is_sampled(event, event->block_flags))
        return as_it_is(event);
    state->live_variance -= variance(state, event->size_bytes);
    return state->weights[event->slot];
}
