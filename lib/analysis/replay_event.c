/* The replay's inner loop: what each kind of event does to the figures (accounting rules: trace_event.h).
 *
 * An event touches the note of its slot, one stack_use and the level: no hashing, no search. With many stacks or blocks, each of these is
 * a cache miss: they are asked for some events ahead.
 * "Temporary": freed before its own thread's next allocation, whichever thread frees it. */
#include "replay_state.h"

/* Neither arenas, which belong to no stack, nor what a parent process allocated. */
#define NOT_ALLOCATED_HERE (TRACE_ARENA | TRACE_INHERITED)

HOT_INLINE void note_level(struct replay_state *state)
{
    uint64_t total = trace_level_total(&state->level);
    if (total > state->row_peak_bytes)
        state->row_peak_bytes = total;
    if (unlikely(trace_level_higher(&state->level, &state->highest))) {
        state->highest = state->level;
        state->highest_event = state->event_count;
        state->highest_time_ns = state->time_ns;
    }
}

/* ---- which blocks are their threads' latest ---- */

HOT_INLINE void mark_latest(struct replay_state *state, uint32_t slot)
{
    state->latest[slot / 8] |= (uint8_t)(1u << slot % 8);
}

HOT_INLINE void unmark_latest(struct replay_state *state, uint32_t slot)
{
    state->latest[slot / 8] &= (uint8_t)~(1u << slot % 8);
}

HOT_INLINE int is_latest(const struct replay_state *state, uint32_t slot)
{
    return state->latest[slot / 8] >> slot % 8 & 1;
}

/* The block becomes the latest allocation of its thread, and the one before it stops to be. */
HOT_INLINE void note_allocation(struct replay_state *state, uint32_t slot)
{
    struct thread_note *thread = &state->threads[state->thread_id];
    if (thread->last_slot != SLOT_NONE)
        unmark_latest(state, thread->last_slot);
    thread->last_slot = slot;
    thread->allocations++;
    mark_latest(state, slot);
}

/* The thread whose latest allocation this is; nearly always the one that frees it. */
HOT_INLINE uint32_t owner_of_latest(const struct replay_state *state, uint32_t slot)
{
    uint32_t owner_id = state->thread_id;
    if (unlikely(state->threads[owner_id].last_slot != slot))
        for (owner_id = 0; state->threads[owner_id].last_slot != slot;)
            owner_id++;
    return owner_id;
}

COLD static int extend_notes(struct replay_state *state, uint32_t slot)
{
    return ARRAY_EXTEND(state->births, state->birth_capacity, slot + (size_t)1) &&
           ARRAY_RESERVE(state->latest, state->latest_capacity, state->birth_capacity / 8 + 1) &&
           (!state->is_sampled || ARRAY_RESERVE(state->weights, state->weight_capacity, state->birth_capacity));
}

HOT_INLINE int room_for_note(struct replay_state *state, uint32_t slot)
{
    return likely(slot < state->birth_capacity) || extend_notes(state, slot);
}

int replay_reserve_notes(struct replay_state *state, uint32_t slot)
{
    return room_for_note(state, slot);
}

void replay_set_latest(struct replay_state *state, uint32_t thread_id, uint32_t slot)
{
    struct thread_note *thread = &state->threads[thread_id];
    if (thread->last_slot == SLOT_NONE && !is_latest(state, slot)) {
        thread->last_slot = slot;
        mark_latest(state, slot);
    }
}

/* ---- events ---- */

/* What it counts as; itself, where everything is recorded. */
HOT_INLINE struct replay_weight weight_of_allocation(struct replay_state *state, const struct trace_event *event)
{
    if (unlikely(state->is_sampled))
        return replay_sampled_allocation(state, event);
    return (struct replay_weight){event->size_bytes, 1, 0};
}

HOT_INLINE struct replay_weight weight_of_free(struct replay_state *state, const struct trace_event *event)
{
    if (unlikely(state->is_sampled))
        return replay_sampled_free(state, event);
    return (struct replay_weight){event->size_bytes, 1, 0};
}

HOT_INLINE void count_allocation(struct replay_state *state, const struct trace_event *event, struct replay_weight weight, uint32_t use_id)
{
    struct stack_use *use = &state->replay->uses.uses[use_id];
    use->allocated_bytes += weight.bytes;
    use->allocations += weight.count;
    if (likely(!state->is_sampled) || !state->threads[state->thread_id].sampling_interval_bytes) /* a sample doesn't tell what came in between */
        note_allocation(state, event->slot);
}

/* A block of a stack became live. */
HOT_INLINE int make_live(struct replay_state *state, const struct trace_event *event, struct replay_weight weight, uint32_t *ret_use_id)
{
    uint32_t use_id = stack_uses_get(&state->replay->uses, event->stack_id);
    if (unlikely(!use_id) || unlikely(replay_note_change(state, use_id)))
        return STATUS_NO_MEMORY;
    struct stack_use *use = &state->replay->uses.uses[use_id];
    use->live_bytes += weight.bytes;
    use->live_allocations += (uint32_t)weight.count;
    state->live_allocations += weight.count;
    *ret_use_id = use_id;
    return STATUS_OK;
}

HOT_INLINE int on_allocate(struct replay_state *state, const struct trace_event *event)
{
    uint32_t use_id;
    if (!room_for_note(state, event->slot))
        return STATUS_NO_MEMORY;
    struct replay_weight weight = weight_of_allocation(state, event);
    state->event_count++;
    trace_level_change(&state->level, event->flags, weight.bytes, 1);
    state->births[event->slot] = state->birth;
    if (likely(!(event->flags & TRACE_ARENA))) {
        int status = make_live(state, event, weight, &use_id);
        if (unlikely(status))
            return status;
        if (likely(!(event->flags & NOT_ALLOCATED_HERE)))
            count_allocation(state, event, weight, use_id);
    }
    note_level(state);
    return STATUS_OK;
}

/* Sets *ret_owner_id and returns 1 where the block is the latest allocation of its thread, which it then is no more. */
HOT_INLINE int end_latest(struct replay_state *state, uint32_t slot, uint32_t *ret_owner_id)
{
    if (!is_latest(state, slot))
        return 0;
    *ret_owner_id = owner_of_latest(state, slot);
    state->threads[*ret_owner_id].last_slot = SLOT_NONE;
    unmark_latest(state, slot);
    return 1;
}

HOT_INLINE int on_free(struct replay_state *state, const struct trace_event *event)
{
    struct replay_weight weight = weight_of_free(state, event);
    uint32_t owner_id = 0;
    int status = STATUS_OK, is_temporary = end_latest(state, event->slot, &owner_id);
    state->event_count++;
    trace_level_change(&state->level, event->block_flags, weight.bytes, -1);
    if (likely(!(event->block_flags & TRACE_ARENA))) {
        uint32_t use_id = state->replay->uses.ids[event->stack_id];
        struct stack_use *use = &state->replay->uses.uses[use_id];
        use->live_bytes -= weight.bytes;
        use->live_allocations -= (uint32_t)weight.count;
        state->live_allocations -= weight.count;
        use->temporary_allocations += (uint64_t)is_temporary;
        status = replay_note_change(state, use_id);
    }
    state->threads[state->thread_id].last_free = (struct last_free){
        .size_bytes = event->size_bytes,
        .birth = state->births[event->slot],
        .stack_id = event->stack_id,
        .owner_id = owner_id,
        .owner_allocations = state->threads[owner_id].allocations,
        .was_temporary = is_temporary,
        .valid = 1,
    };
    return status;
}

/* The block that this thread freed last is live again, as if nothing had happened to it. */
COLD static int on_undo_free(struct replay_state *state, const struct trace_event *event)
{
    struct last_free *freed = &state->threads[state->thread_id].last_free;
    int known = freed->valid && freed->size_bytes == event->size_bytes && freed->stack_id == event->stack_id;
    int was_temporary = known && freed->was_temporary, status = STATUS_OK;
    uint32_t use_id;
    if (!room_for_note(state, event->slot))
        return STATUS_NO_MEMORY;
    struct replay_weight weight = weight_of_allocation(state, event);
    freed->valid = 0;
    state->event_count++;
    state->births[event->slot] = known ? freed->birth : state->birth;
    trace_level_change(&state->level, event->flags, weight.bytes, 1);
    if (!(event->flags & TRACE_ARENA)) {
        status = make_live(state, event, weight, &use_id);
        if (!status)
            state->replay->uses.uses[use_id].temporary_allocations -= (uint64_t)was_temporary;
    }
    struct thread_note *owner = &state->threads[freed->owner_id];
    if (was_temporary && owner->allocations == freed->owner_allocations) {
        owner->last_slot = event->slot;
        mark_latest(state, event->slot);
    }
    note_level(state);
    return status;
}

COLD static int on_shrink(struct replay_state *state, const struct trace_event *event)
{
    state->event_count++;
    trace_level_change(&state->level, event->block_flags, event->size_bytes, -1);
    if (event->block_flags & TRACE_ARENA)
        return STATUS_OK;
    uint32_t use_id = state->replay->uses.ids[event->stack_id];
    state->replay->uses.uses[use_id].live_bytes -= event->size_bytes;
    return replay_note_change(state, use_id);
}

HOT_INLINE int on_copy(struct replay_state *state, const struct trace_event *event)
{
    uint32_t use_id = stack_uses_get(&state->replay->uses, event->stack_id);
    struct replay_weight weight = {event->size_bytes, 1, 0};
    if (unlikely(state->is_sampled))
        weight = replay_sampled_copy(state, event);
    state->event_count++;
    return likely(use_id) ? stack_uses_count_copies(&state->replay->uses, use_id, weight.bytes, weight.count) : STATUS_NO_MEMORY;
}

/* Running totals and the resident set: they are no events of the program. */
COLD static void on_figure(struct replay_state *state, const struct trace_event *event)
{
    struct replay_totals *totals = &state->replay->totals;
    switch ((enum trace_event_kind)event->kind) {
    case TRACE_RSS:
        state->rss_bytes = event->size_bytes;
        if (event->size_bytes > totals->peak_rss_bytes)
            totals->peak_rss_bytes = event->size_bytes;
        break;
    case TRACE_LOST:
        totals->lost_events = event->size_bytes;
        break;
    case TRACE_SMALL_COPIES:
        totals->small_copied_bytes = event->size_bytes;
        totals->small_copies = event->count;
        break;
    case TRACE_UNKNOWN_FREES:
        totals->unknown_frees = event->count;
        break;
    default:
        break;
    }
}

/* Of a sample the thread's latest allocation is not known: others follow unseen. */
COLD static int on_sampling(struct replay_state *state, const struct trace_event *event)
{
    struct thread_note *thread = &state->threads[state->thread_id];
    if (event->size_bytes && thread->last_slot != SLOT_NONE) {
        unmark_latest(state, thread->last_slot);
        thread->last_slot = SLOT_NONE;
    }
    return replay_sampling_change(state, event->size_bytes);
}

HOT_INLINE int apply(struct replay_state *state, const struct trace_event *event)
{
    switch ((enum trace_event_kind)event->kind) {
    case TRACE_ALLOCATE:
        return on_allocate(state, event);
    case TRACE_FREE:
        return on_free(state, event);
    case TRACE_COPY:
        return on_copy(state, event);
    case TRACE_TIME:
        return replay_time_pass(state, event->time_ns);
    case TRACE_THREAD:
        state->thread_id = event->thread_id;
        return STATUS_OK;
    case TRACE_SHRINK:
        return on_shrink(state, event);
    case TRACE_SAMPLING:
        return on_sampling(state, event);
    case TRACE_UNDO_FREE:
        return on_undo_free(state, event);
    default:
        on_figure(state, event);
        return STATUS_OK;
    }
}

HOT_INLINE int apply_and_snapshot(struct replay_state *state, const struct trace_event *event)
{
    int status = apply(state, event);
    if (unlikely(state->event_count == state->snapshot_event) && !status) {
        status = replay_take_snapshot(state);
        state->snapshot_event = NO_EVENT;
    }
    return status;
}

/* `event` and the one REPLAY_LOOK_AHEAD / 2 behind it will be applied soon. */
HOT_INLINE void look_ahead(const struct replay_state *state, const struct trace_event *event)
{
    const struct stack_uses *uses = &state->replay->uses;
    uint32_t use_id = uses->ids[event->stack_id];
    __builtin_prefetch(&uses->uses[use_id], 1);
    __builtin_prefetch(&uses->stamps[use_id], 1);
    __builtin_prefetch(&state->births[event->slot], 1);
    __builtin_prefetch(&state->latest[event->slot / 8], 1);
    __builtin_prefetch(&uses->ids[event[REPLAY_LOOK_AHEAD / 2].stack_id]);
}

int replay_events(struct replay_state *state, const struct trace_event *events, size_t count)
{
    int status = STATUS_OK;
    for (size_t i = 0; i < count && likely(!status); i++) {
        look_ahead(state, &events[i + REPLAY_LOOK_AHEAD / 2]);
        status = apply_and_snapshot(state, &events[i]);
    }
    return status;
}
