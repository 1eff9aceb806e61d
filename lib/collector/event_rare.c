/* See event_rare.h. */
#include "event_rare.h"

#include "definition_intake.h"
#include "event_words.h"
#include "random.h"
#include "sampling_probability.h"

void event_find_trace_thread(struct event_stream *stream, struct recorded_thread *thread)
{
    uint32_t slot = (uint32_t)(thread - stream->threads);
    uint32_t kernel_id = atomic_load_explicit(&session_threads(stream->session)[slot].thread_id, memory_order_relaxed);
    thread->trace_thread_id = definition_intake_thread(stream->definitions, slot, thread->generation, kernel_id);
}

/* ---- sampling intervals ---- */

void event_tell_interval(struct event_stream *stream, uint8_t interval_id)
{
    trace_writer_sampling(stream->blocks->writer, stream->blocks->intervals.bytes[interval_id]);
}

/* What a realloc has begun it ends as it was decided at its beginning. */
void event_change_interval(struct event_stream *stream, struct recorded_thread *thread, uint8_t interval_id)
{
    thread->next_interval_id = interval_id;
    thread->interval_changes = thread->reallocating != REALLOCATING_NOT;
    if (thread->interval_changes)
        return;
    int is_told = thread->trace_thread_id == 0 || thread->interval_id == interval_id;
    if (thread->trace_thread_id == 0)
        thread->interval_id = interval_id; /* what it did before this trace, nobody need know */
    event_switch_thread(stream, thread);
    if (!is_told)
        event_tell_interval(stream, interval_id);
    thread->interval_id = interval_id;
}

/* One interval too many can't be named, so it was never asked for. */
void event_take_sampling(struct event_stream *stream, struct recorded_thread *thread, uint64_t interval_bytes)
{
    int interval_id = sampling_intervals_find(&stream->blocks->intervals, interval_bytes);
    stream->is_mixed = 1;
    stream->blocks->unknown_is_usual = 1;
    if (interval_id >= 0)
        event_change_interval(stream, thread, (uint8_t)interval_id);
}

/* ---- reallocations and copies ---- */

/* What a realloc copies is sampled like any copy: as likely as its bytes are many. It is here because the old block was sampled, which is
 * the same where all of that is copied; otherwise that was more likely. */
static int copy_is_sampled(struct event_stream *stream, uint64_t interval_bytes, uint64_t old_bytes, uint64_t copied_bytes)
{
    return interval_bytes == 0 || copied_bytes == old_bytes ||
           random_fraction(&stream->random) * sampling_probability(old_bytes, interval_bytes) <
               sampling_probability(copied_bytes, interval_bytes);
}

/* By the interval that the old block was taken by: whether it was, is what decides. */
static void copy_block(struct event_stream *stream, const struct recorded_thread *thread, uint64_t copied_bytes, uint32_t stack_id)
{
    uint8_t interval_id = thread->reallocated.interval_id;
    int is_other = unlikely(interval_id != thread->interval_id);
    if (!copy_is_sampled(stream, stream->blocks->intervals.bytes[interval_id], thread->reallocated.size_bytes, copied_bytes))
        return;
    if (is_other)
        event_tell_interval(stream, interval_id);
    trace_writer_copy(stream->blocks->writer, copied_bytes, stack_id);
    if (is_other)
        event_tell_interval(stream, thread->interval_id);
}

static void end_reallocation(struct event_stream *stream, struct recorded_thread *thread, uint64_t address, uint64_t size_bytes,
                             uint32_t stack_id)
{
    if (thread->reallocating == REALLOCATING_UNKNOWN)
        live_blocks_unknown_free(stream->blocks);
    if (thread->reallocating == REALLOCATING_KNOWN && address != thread->reallocated_address && stream->session->flags & SESSION_COPIES) {
        uint64_t old_bytes = thread->reallocated.size_bytes, copied_bytes = old_bytes < size_bytes ? old_bytes : size_bytes;
        copy_block(stream, thread, copied_bytes, stack_id);
    }
    event_leave_reallocation(stream, thread);
}

/* ---- events ---- */

/* Allocation opcodes come in pairs, the second with the size in a word of its own. */
static unsigned allocation_flags(enum event_opcode opcode)
{
    switch (opcode) {
    case EVENT_ALLOCATE_OBJECT:
    case EVENT_ALLOCATE_OBJECT_BIG:
        return TRACE_OBJECT;
    case EVENT_REALLOC_END:
    case EVENT_REALLOC_END_BIG:
        return TRACE_REALLOC;
    case EVENT_REALLOC_END_OBJECT:
    case EVENT_REALLOC_END_OBJECT_BIG:
        return TRACE_OBJECT | TRACE_REALLOC;
    default:
        return 0;
    }
}

/* An allocation that is not of the two usual opcodes. */
static int take_rare_allocation(struct event_stream *stream, struct recorded_thread *thread, const uint64_t *words,
                                const struct event_origin *origin)
{
    enum event_opcode opcode = EVENT_OPCODE(words[0]);
    uint64_t address = EVENT_PAYLOAD(words[0]);
    int is_big = opcode != EVENT_REALLOC_END && opcode != EVENT_REALLOC_END_OBJECT;
    uint64_t size_bytes = is_big ? words[2] : words[1] >> 32;
    uint32_t stack_id = definition_intake_stack(stream->definitions, (uint32_t)words[1]);
    unsigned flags = allocation_flags(opcode);
    live_blocks_allocate(stream->blocks, address, size_bytes, stack_id, flags, origin);
    if (unlikely(stream->is_mixed))
        live_blocks_note_interval(stream->blocks, address, thread->interval_id);
    if (flags & TRACE_REALLOC)
        end_reallocation(stream, thread, address, size_bytes, stack_id);
    return 2 + is_big;
}

int event_take_rare(struct event_stream *stream, struct recorded_thread *thread, const uint64_t *words, const struct event_origin *origin)
{
    struct live_blocks *blocks = stream->blocks;
    struct definition_intake *definitions = stream->definitions;
    uint64_t payload = EVENT_PAYLOAD(words[0]);
    switch (EVENT_OPCODE(words[0])) {
    case EVENT_ALLOCATE_BIG:
    case EVENT_ALLOCATE_OBJECT_BIG:
    case EVENT_REALLOC_END:
    case EVENT_REALLOC_END_BIG:
    case EVENT_REALLOC_END_OBJECT:
    case EVENT_REALLOC_END_OBJECT_BIG:
        return take_rare_allocation(stream, thread, words, origin);
    case EVENT_REALLOC_FAILED:
        if (thread->reallocating == REALLOCATING_KNOWN)
            live_blocks_undo_free(blocks, payload, &thread->reallocated);
        event_leave_reallocation(stream, thread);
        return 1;
    case EVENT_REALLOC_PASSED:
        end_reallocation(stream, thread, payload, words[2], definition_intake_stack(definitions, (uint32_t)words[1]));
        return 3;
    case EVENT_COPY:
        trace_writer_copy(blocks->writer, payload, definition_intake_stack(definitions, (uint32_t)words[1]));
        return 2;
    case EVENT_MAP:
        live_blocks_map(blocks, payload, words[2], definition_intake_stack(definitions, (uint32_t)words[1]), (unsigned)(words[1] >> 32));
        return 3;
    case EVENT_UNMAP:
        live_blocks_unmap(blocks, payload, words[1]);
        return 2;
    case EVENT_REMAP:
        live_blocks_remap(blocks, payload, words[1], words[2], words[4], definition_intake_stack(definitions, (uint32_t)words[3]),
                          (unsigned)(words[3] >> 32));
        return 5;
    default:
        return 0;
    }
}

void event_forget_late(struct event_stream *stream, const uint64_t *words)
{
    static const struct event_origin unstamped;
    uint64_t payload = EVENT_PAYLOAD(words[0]);
    switch (EVENT_OPCODE(words[0])) {
    case EVENT_ALLOCATE:
    case EVENT_ALLOCATE_BIG:
    case EVENT_ALLOCATE_OBJECT:
    case EVENT_ALLOCATE_OBJECT_BIG:
    case EVENT_REALLOC_END:
    case EVENT_REALLOC_END_BIG:
    case EVENT_REALLOC_END_OBJECT:
    case EVENT_REALLOC_END_OBJECT_BIG:
        live_blocks_free(stream->blocks, payload, 0, &unstamped, NULL);
        break;
    case EVENT_MAP:
        live_blocks_unmap(stream->blocks, payload, words[2]);
        break;
    default: /* what it changed isn't live */
        break;
    }
}
