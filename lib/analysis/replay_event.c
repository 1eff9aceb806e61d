/* The replay's inner loop: what each kind of event does to the figures (accounting rules: trace_event.h).
 *
 * An event touches the reader's slot, the note beside it, one stack_use and the level: no hashing, no search.
 * "Temporary": freed before its own thread's next allocation, whichever thread frees it. */
#include "replay_state.h"

#include "array.h"

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

/* The block becomes the latest allocation of its thread, and the one before it stops to be. */
HOT_INLINE void note_last_allocation(struct replay_state *state, uint32_t thread_id, uint32_t slot)
{
    struct thread_note *thread = &state->threads[thread_id];
    if (thread->last_slot != SLOT_NONE)
        state->notes[thread->last_slot].thread_last &= ~SLOT_IS_LAST;
    thread->last_slot = slot;
    thread->allocations++;
}

HOT_INLINE int room_for_note(struct replay_state *state, uint32_t slot)
{
    return likely(slot < state->note_capacity) || ARRAY_RESERVE(state->notes, state->note_capacity, slot + (size_t)1);
}

HOT_INLINE int on_allocate(struct replay_state *state, const struct trace_event *event)
{
    if (!room_for_note(state, event->slot))
        return STATUS_NO_MEMORY;
    state->event_count++;
    trace_level_change(&state->level, event->flags, event->size_bytes, 1);
    struct slot_note *note = &state->notes[event->slot];
    note->birth = state->birth;
    note->thread_last = state->thread_id;
    if (likely(!(event->flags & TRACE_ARENA))) {
        struct stack_use *use = &state->replay->uses[event->stack_id];
        use->live_bytes += event->size_bytes;
        use->live_allocations++;
        state->live_allocations++;
        if (likely(!(event->flags & NOT_ALLOCATED_HERE))) {
            use->allocated_bytes += event->size_bytes;
            use->allocations++;
            note_last_allocation(state, state->thread_id, event->slot);
            note->thread_last |= SLOT_IS_LAST;
        }
    }
    note_level(state);
    return STATUS_OK;
}

HOT_INLINE int on_free(struct replay_state *state, const struct trace_event *event)
{
    const struct live_slot *slot = &state->slots->slots[event->slot];
    uint64_t size_bytes = live_slot_size(slot);
    unsigned flags = live_slot_flags(slot);
    struct slot_note note = state->notes[event->slot];
    state->event_count++;
    trace_level_change(&state->level, flags, size_bytes, -1);
    if (likely(!(flags & TRACE_ARENA))) {
        struct stack_use *use = &state->replay->uses[slot->stack_id];
        use->live_bytes -= size_bytes;
        use->live_allocations--;
        state->live_allocations--;
        if (note.thread_last & SLOT_IS_LAST) {
            use->temporary_allocations++;
            state->threads[note.thread_last & ~SLOT_IS_LAST].last_slot = SLOT_NONE;
        }
    }
    state->threads[state->thread_id].last_free = (struct last_free){
        .size_bytes = size_bytes,
        .note = note,
        .stack_id = slot->stack_id,
        .owner_allocations = state->threads[note.thread_last & ~SLOT_IS_LAST].allocations,
        .valid = 1,
    };
    return STATUS_OK;
}

/* The block that this thread freed last is live again, as if nothing had happened to it. */
COLD static int on_undo_free(struct replay_state *state, const struct trace_event *event)
{
    if (!room_for_note(state, event->slot))
        return STATUS_NO_MEMORY;
    struct last_free *freed = &state->threads[state->thread_id].last_free;
    int known = freed->valid && freed->size_bytes == event->size_bytes && freed->stack_id == event->stack_id;
    struct slot_note note = known ? freed->note : (struct slot_note){state->birth, state->thread_id};
    int was_temporary = (note.thread_last & SLOT_IS_LAST) != 0;
    struct thread_note *owner = &state->threads[note.thread_last & ~SLOT_IS_LAST];
    freed->valid = 0;
    state->event_count++;
    trace_level_change(&state->level, event->flags, event->size_bytes, 1);
    if (!(event->flags & TRACE_ARENA)) {
        struct stack_use *use = &state->replay->uses[event->stack_id];
        use->live_bytes += event->size_bytes;
        use->live_allocations++;
        use->temporary_allocations -= was_temporary;
        state->live_allocations++;
    }
    if (was_temporary && owner->allocations == freed->owner_allocations)
        owner->last_slot = event->slot;
    else
        note.thread_last &= ~SLOT_IS_LAST;
    state->notes[event->slot] = note;
    note_level(state);
    return STATUS_OK;
}

COLD static int on_shrink(struct replay_state *state, const struct trace_event *event)
{
    const struct live_slot *slot = &state->slots->slots[event->slot];
    unsigned flags = live_slot_flags(slot);
    state->event_count++;
    trace_level_change(&state->level, flags, event->size_bytes, -1);
    if (!(flags & TRACE_ARENA))
        state->replay->uses[slot->stack_id].live_bytes -= event->size_bytes;
    return STATUS_OK;
}

HOT_INLINE int on_copy(struct replay_state *state, const struct trace_event *event)
{
    struct stack_use *use = &state->replay->uses[event->stack_id];
    state->event_count++;
    use->copied_bytes += event->size_bytes;
    use->copies++;
    return STATUS_OK;
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
    case TRACE_UNDO_FREE:
        return on_undo_free(state, event);
    default:
        on_figure(state, event);
        return STATUS_OK;
    }
}

int replay_event(struct replay_state *state, const struct trace_event *event)
{
    int status = apply(state, event);
    if (unlikely(state->event_count == state->snapshot_event) && !status) {
        status = replay_take_snapshot(state);
        state->snapshot_event = NO_EVENT;
    }
    return status;
}
