/* See event_stream.h. Threads wait in a heap, by the key of their next event; the first one is served as long as its keys stay below
 * the next thread's. With one busy thread that is a plain walk through its ring. */
#include "event_stream.h"

#include <stdlib.h>

#include "definition_intake.h"
#include "event_rare.h"
#include "event_words.h"
#include "futex.h"
#include "status.h"

/* The writer hears of the time when it has moved on by this much. */
#define TIME_STEP_NS 100000
/* Between two drains a thread can turn back to its ring's start once for every ring it went through; a few growths at most. Words that
 * make us turn more often are not a ring's. */
#define MAX_TURNS 64

static int key_above(struct order_key a, struct order_key b)
{
    return a.epoch > b.epoch || (a.epoch == b.epoch && a.stamp > b.stamp);
}

int event_stream_init(struct event_stream *stream, struct session_header *session, struct live_blocks *blocks,
                      struct definition_intake *definitions)
{
    *stream = (struct event_stream){.session = session, .words = session_words(session), .blocks = blocks, .definitions = definitions};
    tick_clock_init(&stream->clock, session->start_ticks, session->start_monotonic_ns);
    stream->random = ~session->sampling_seed;
    blocks->intervals.bytes[0] = session->sampling_interval_bytes;
    stream->threads = calloc(SESSION_MAX_THREADS, sizeof *stream->threads);
    stream->heap = calloc(SESSION_MAX_THREADS, sizeof *stream->heap);
    return stream->threads && stream->heap ? 0 : STATUS_NO_MEMORY;
}

void event_stream_done(struct event_stream *stream)
{
    free(stream->threads);
    free(stream->heap);
}

void event_stream_move(struct event_stream *stream, struct session_header *session)
{
    for (uint32_t i = 0; i < stream->thread_count; i++)
        stream->threads[i] = (struct recorded_thread){0};
    stream->thread_count = 0;
    stream->current_trace_thread_id = 0;
    stream->next_time_ticks = stream->first_epoch = 0;
    stream->session = session;
    stream->words = session_words(session);
    tick_clock_init(&stream->clock, session->start_ticks, session->start_monotonic_ns);
    stream->random = ~session->sampling_seed;
}

void event_stream_restart_clock(struct event_stream *stream)
{
    stream->next_time_ticks = 0;
    for (uint32_t i = 0; i < stream->thread_count; i++)
        stream->threads[i].trace_thread_id = 0; /* what it samples by must be told to the next trace, too */
    tick_clock_init(&stream->clock, stream->session->start_ticks, stream->session->start_monotonic_ns);
}

void event_stream_forget(struct event_stream *stream)
{
    for (uint32_t i = 0; i < stream->thread_count; i++)
        event_leave_reallocation(stream, &stream->threads[i]);
    stream->current_trace_thread_id = 0;
    trace_writer_thread(stream->blocks->writer, 0);
    live_blocks_forget(stream->blocks);
    stream->first_epoch = ORDER_EPOCH(atomic_load_explicit(&stream->session->order, memory_order_relaxed));
}

/* ---- cursors ---- */

static int ring_is_valid(uint64_t start, uint64_t words)
{
    return start * 8 >= SESSION_RINGS_OFFSET && words <= SESSION_RING_SPACE_BYTES / 8 && start <= SESSION_SURVEY_OFFSET / 8 - words;
}

/* The slot's first words: it began in its first ring, as generation 1. */
static void begin_slot(struct recorded_thread *thread, const struct session_thread *shared)
{
    thread->ring_start = thread->position = thread->end = shared->first_ring;
    thread->ring_end = shared->first_ring + shared->first_ring_words;
    thread->generation = 1;
    thread->broken = !ring_is_valid(shared->first_ring, shared->first_ring_words);
}

static void see_new_slots(struct event_stream *stream)
{
    uint32_t used = atomic_load_explicit(&stream->session->thread_slots_used, memory_order_acquire);
    while (stream->thread_count < used && stream->thread_count < SESSION_MAX_THREADS) {
        begin_slot(&stream->threads[stream->thread_count], &session_threads(stream->session)[stream->thread_count]);
        stream->thread_count++;
    }
}

uint32_t event_stream_read_cursors(struct event_stream *stream)
{
    struct session_thread *shared = session_threads(stream->session);
    uint32_t active = 0;
    see_new_slots(stream);
    for (uint32_t i = 0; i < stream->thread_count; i++) {
        stream->threads[i].end = atomic_load_explicit(&shared[i].cursor, memory_order_acquire);
        stream->threads[i].is_active = stream->threads[i].end != stream->threads[i].position;
        active += stream->threads[i].is_active;
    }
    return active;
}

uint32_t event_stream_unfollowed(const struct event_stream *stream, uint64_t interval_bytes)
{
    uint32_t unfollowed = 0;
    for (uint32_t i = 0; i < stream->thread_count; i++)
        unfollowed += stream->threads[i].is_active && stream->blocks->intervals.bytes[stream->threads[i].interval_id] != interval_bytes;
    return unfollowed;
}

void event_stream_set_cursors(struct event_stream *stream, const uint64_t *cursors, uint32_t count)
{
    see_new_slots(stream);
    for (uint32_t i = 0; i < stream->thread_count; i++)
        stream->threads[i].end = i < count ? cursors[i] : stream->threads[i].position;
}

void event_stream_publish(struct event_stream *stream)
{
    struct session_thread *shared = session_threads(stream->session);
    for (uint32_t i = 0; i < stream->thread_count; i++) {
        struct recorded_thread *thread = &stream->threads[i];
        if (thread->position == atomic_load_explicit(&shared[i].drained, memory_order_relaxed))
            continue;
        /* Sequentially consistent, like the thread's raising of `waiting` before it looks at `drained` once more. */
        atomic_store(&shared[i].drained, thread->position);
        if (atomic_load(&shared[i].waiting)) {
            atomic_fetch_add(&shared[i].space_futex, 1);
            futex_wake(&shared[i].space_futex, 1);
        }
    }
}

/* ---- one event ---- */

#define PUT_OFF (-1)

/* A deallocation found nothing. Returns PUT_OFF while it may have overtaken its allocation. Where a sample is taken and all deallocations are
 * seen, nearly all find nothing: none waits for a thread that waits itself. */
COLD static int miss_free(struct event_stream *stream, const struct recorded_thread *thread, const struct event_origin *origin)
{
    uint32_t most = stream->blocks->intervals.bytes[thread->interval_id] && stream->is_mixed ? 1 : MAX_PUT_OFF;
    if (origin->stamped && thread->put_off < most)
        return PUT_OFF;
    live_blocks_unknown_free(stream->blocks);
    return 1;
}

static int begin_reallocation(struct event_stream *stream, struct recorded_thread *thread, uint64_t address,
                              const struct event_origin *origin)
{
    int known = live_blocks_free(stream->blocks, address, TRACE_REALLOC, origin, &thread->reallocated);
    if (!known && origin->stamped && thread->put_off < MAX_PUT_OFF)
        return PUT_OFF;
    thread->reallocating = known ? REALLOCATING_KNOWN : REALLOCATING_UNKNOWN;
    thread->reallocated_address = address;
    return 1;
}

/* Returns the number of words taken; PUT_OFF; 0: this is no event. is_mixed: blocks of several intervals may have to be told apart. */
HOT_INLINE int take_event(struct event_stream *stream, struct recorded_thread *thread, const uint64_t *words,
                          const struct event_origin *origin, int is_mixed)
{
    enum event_opcode opcode = EVENT_OPCODE(words[0]);
    uint64_t payload = EVENT_PAYLOAD(words[0]);
    uint32_t stack_id;
    switch (opcode) {
    case EVENT_ALLOCATE:
    case EVENT_ALLOCATE_OBJECT:
        stack_id = definition_intake_stack(stream->definitions, (uint32_t)words[1]);
        live_blocks_allocate(stream->blocks, payload, words[1] >> 32, stack_id, opcode == EVENT_ALLOCATE ? 0 : TRACE_OBJECT, origin);
        if (is_mixed)
            live_blocks_note_interval(stream->blocks, payload, thread->interval_id);
        return 2;
    case EVENT_FREE:
        if (likely(live_blocks_free(stream->blocks, payload, 0, origin, NULL)))
            return 1;
        return miss_free(stream, thread, origin);
    case EVENT_REALLOC_BEGIN:
        return begin_reallocation(stream, thread, payload, origin);
    default:
        return event_take_rare(stream, thread, words, origin);
    }
}

/* ---- one thread ---- */

COLD static void tell_time(struct event_stream *stream, uint64_t ticks)
{
    trace_writer_time(stream->blocks->writer, tick_clock_ns(&stream->clock, ticks));
    if (stream->time_step_ticks == 0)
        stream->time_step_ticks = tick_clock_ticks(&stream->clock, TIME_STEP_NS);
    stream->next_time_ticks = ticks + stream->time_step_ticks;
}

__attribute__((noinline)) static void look_ahead(struct recorded_thread *thread, struct live_blocks *blocks, const uint64_t *all_words,
                                                 uint64_t position)
{
    struct look_ahead *ahead = &thread->ahead;
    uint64_t end = thread->end >= position && thread->end < thread->ring_end ? thread->end : thread->ring_end;
    uint32_t batches = look_ahead_pays(ahead, blocks->writer);
    if (batches == 0 || ahead->position <= position || ahead->position > end) {
        look_ahead_reset(ahead, position);
        batches *= LOOK_AHEAD_LEAD;
    }
    ahead->steps_left = LOOK_AHEAD_BATCH;
    while (batches-- > 0)
        look_ahead_batch(ahead, blocks, all_words, end);
}

/* Another ring, or another lap of this one. Returns the position to go on at, 0: these words are no ring's. */
COLD static uint64_t turn(struct recorded_thread *thread, const uint64_t *all_words, uint64_t position, unsigned *turns)
{
    if (position > thread->ring_end || ++*turns > MAX_TURNS)
        return 0;
    if (position == thread->ring_end || EVENT_OPCODE(all_words[position]) == EVENT_PAD)
        return thread->ring_start;
    uint64_t start = EVENT_PAYLOAD(all_words[position]), words = all_words[position + 1];
    if (!ring_is_valid(start, words))
        return 0;
    thread->ring_start = start;
    thread->ring_end = start + words;
    return start;
}

COLD static void begin_generation(struct recorded_thread *thread, uint32_t generation)
{
    if (thread->generation != generation)
        thread->trace_thread_id = 0;
    thread->generation = generation;
    thread->reallocating = REALLOCATING_NOT;
    thread->interval_id = thread->interval_changes = 0;
}

COLD static void break_off(struct recorded_thread *thread)
{
    thread->broken = 1;
    thread->position = thread->end;
}

enum take_result { TAKE_ALL, TAKE_LATER, TAKE_CAREFULLY };

/* Go through the thread's words up to its end, or up to the limit; then thread->next_key is the key of the event it stopped at. Twice, so
 * that nobody asks which sampling interval holds, where it never changes, nor what was recorded before a pause, where that has been taken. */
HOT_INLINE enum take_result take_words(struct event_stream *stream, struct recorded_thread *thread, struct order_key limit, int is_careful)
{
    struct event_origin origin = {.thread = (uint32_t)(thread - stream->threads)};
    const uint64_t *all_words = stream->words;
    uint64_t position = thread->position, end = thread->end, stamp_position = 0;
    unsigned turns = 0;
    struct order_key key = thread->key;
    if (position != end && key_above(key, limit))
        goto later;
    while (position != end) {
        const uint64_t *words = all_words + position;
        if (unlikely(position >= thread->ring_end)) {
            if (!(position = turn(thread, all_words, position, &turns)))
                goto broken;
            continue;
        }
        if (unlikely(--thread->ahead.steps_left == 0))
            look_ahead(thread, stream->blocks, all_words, position);
        uint64_t payload = EVENT_PAYLOAD(words[0]);
        switch (EVENT_OPCODE(words[0])) {
        case EVENT_PAD:
        case EVENT_JUMP:
            if (!(position = turn(thread, all_words, position, &turns)))
                goto broken;
            continue;
        case EVENT_THREAD:
            begin_generation(thread, (uint32_t)payload);
            position++;
            continue;
        case EVENT_SAMPLING:
            event_take_sampling(stream, thread, payload);
            position++;
            if (!is_careful) {
                thread->position = position;
                return TAKE_CAREFULLY;
            }
            continue;
        case EVENT_RUN:
            key = (struct order_key){payload, 0};
            if (key_above(key, limit))
                goto later;
            thread->key = key;
            if (words[1] >= stream->next_time_ticks)
                tell_time(stream, words[1]);
            position += 2;
            continue;
        case EVENT_STAMP:
            key = (struct order_key){thread->key.epoch, payload + thread->put_off * stream->blocks->swap_ticks};
            if (key.stamp < thread->key.stamp)
                key.stamp = thread->key.stamp;
            if (key_above(key, limit))
                goto later;
            thread->key.stamp = key.stamp;
            if (payload >= stream->next_time_ticks)
                tell_time(stream, payload);
            origin = (struct event_origin){origin.thread, 1, thread->key.epoch, payload};
            stamp_position = position++;
            continue;
        default:
            break;
        }

        if (stream->current_trace_thread_id != thread->trace_thread_id || unlikely(thread->trace_thread_id == 0))
            event_switch_thread(stream, thread);
        int taken = take_event(stream, thread, words, &origin, is_careful);
        if (unlikely(taken <= 0)) {
            if (taken == 0)
                goto broken;
            /* Look at it again when what other threads did within SWAP_NS of it has been taken. */
            thread->put_off++;
            position = stamp_position;
            continue;
        }
        if (is_careful && unlikely(thread->key.epoch < stream->first_epoch))
            event_forget_late(stream, words);
        position += (unsigned)taken;
        stream->taken_events++;
        thread->put_off = 0;
        origin.stamped = 0;
    }
    thread->position = position;
    return TAKE_ALL;

later:
    thread->position = position;
    thread->next_key = key;
    return TAKE_LATER;

broken:
    break_off(thread);
    return TAKE_ALL;
}

static __attribute__((noinline)) enum take_result take_carefully(struct event_stream *stream, struct recorded_thread *thread, struct order_key limit)
{
    return take_words(stream, thread, limit, 1);
}

static enum take_result take_thread(struct event_stream *stream, struct recorded_thread *thread, struct order_key limit)
{
    enum take_result result = TAKE_CAREFULLY;
    if (likely(!stream->is_mixed && thread->key.epoch >= stream->first_epoch))
        result = take_words(stream, thread, limit, 0);
    return likely(result != TAKE_CAREFULLY) ? result : take_carefully(stream, thread, limit);
}

/* ---- all threads ---- */

/* Threads by next_key, lowest first. Keys stay with the threads: an entry that was just written in parts and is moved as a whole costs the
 * processor a stall. */
HOT_INLINE void heap_sift_down(struct recorded_thread **heap, uint32_t count, uint32_t at)
{
    struct recorded_thread *moved = heap[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && key_above(heap[child]->next_key, heap[child + 1]->next_key))
            child++;
        if (!key_above(moved->next_key, heap[child]->next_key))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* The lowest key that the heap's first thread is to stop above: that of the next one. */
static struct order_key second_key(struct recorded_thread *const *heap, uint32_t count, struct order_key limit)
{
    for (uint32_t child = 1; child < 3 && child < count; child++)
        if (key_above(limit, heap[child]->next_key))
            limit = heap[child]->next_key;
    return limit;
}

static int has_words(struct recorded_thread *thread)
{
    if (thread->broken)
        thread->position = thread->end;
    return thread->position != thread->end;
}

void event_stream_take(struct event_stream *stream, struct order_key limit)
{
    struct recorded_thread **heap = stream->heap;
    uint32_t count = 0;
    stream->blocks->arena_object_bytes = stream->session->arena_object_bytes; /* set before the first of its objects */
    /* With key 0 each is asked first how far it may go. */
    for (uint32_t i = 0; i < stream->thread_count; i++)
        if (has_words(&stream->threads[i])) {
            look_ahead_reset(&stream->threads[i].ahead, stream->threads[i].position);
            stream->threads[i].next_key = (struct order_key){0, 0};
            heap[count++] = &stream->threads[i];
        }
    struct order_key none = {0, 0};
    for (uint32_t unasked = count > 1 ? count : 0; unasked-- > 0;)
        if (take_thread(stream, heap[unasked], none) == TAKE_ALL)
            heap[unasked] = heap[--count];
    for (uint32_t at = count / 2; at-- > 0;)
        heap_sift_down(heap, count, at);
    while (count > 0 && !key_above(heap[0]->next_key, limit)) {
        if (take_thread(stream, heap[0], second_key(heap, count, limit)) == TAKE_ALL)
            heap[0] = heap[--count];
        heap_sift_down(heap, count, 0);
    }
    if (stream->blocks->overtaken_count)
        live_blocks_forget_overtaken(stream->blocks, limit.epoch, limit.stamp);
}
