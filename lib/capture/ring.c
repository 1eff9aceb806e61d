/* See ring.h. A ring is filled by its thread alone and drained by the collector alone; the two positions, cursor and drained, are all they
 * share. Equal positions mean empty: the thread never fills the last words.
 *
 * A ring that is too small for its thread (the collector can't keep up) is left by a JUMP for one four times as large: small rings stay in
 * the cache, large ones ride out the collector's absence. */
#include "ring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "collector_loss.h"
#include "event_words.h"
#include "futex.h"
#include "lock.h"
#include "recorder.h"
#include "session_start.h"
#include "signals.h"

#define UNIT_BYTES SESSION_FIRST_RING_BYTES
#define UNIT_COUNT (SESSION_RING_SPACE_BYTES / UNIT_BYTES)
/* Growth stops here, so that many threads still get their first ring and the target's extra memory stays under 32 MB. */
#define GROWTH_BUDGET_UNITS (24u * (1u << 20) / UNIT_BYTES)
#define WAIT_STEP_NS (20 * 1000000ull)
#define WAIT_TOTAL_NS (2000 * 1000000ull)

static struct lock space_lock;
static uint8_t unit_taken[UNIT_COUNT];
static uint32_t units_taken;
/* The collector let a whole wait pass: don't wait again until it has moved, count what is lost. */
static _Atomic uint32_t collector_stalled;

/* Word offsets from the session's start, like every place here. */
static uint64_t unit_words(uint32_t unit)
{
    return (SESSION_RINGS_OFFSET + (uint64_t)unit * UNIT_BYTES) / 8;
}

/* A handler that jumps away must not leave it held. */
static uint64_t take_space_lock(void)
{
    uint64_t signals = signals_block();
    lock_take(&space_lock);
    return signals;
}

static void release_space_lock(uint64_t signals)
{
    lock_release(&space_lock);
    signals_restore(signals);
}

/* 0: there isn't so much. */
static uint64_t space_take(uint32_t units, uint32_t budget)
{
    uint64_t words = 0, signals = take_space_lock();
    for (uint32_t first = 0, free_run = 0, unit = 0; unit < UNIT_COUNT && units_taken + units <= budget; unit++) {
        free_run = unit_taken[unit] ? 0 : free_run + 1;
        if (free_run < units)
            continue;
        first = unit + 1 - units;
        for (uint32_t i = 0; i < units; i++)
            unit_taken[first + i] = 1;
        units_taken += units;
        words = unit_words(first);
        break;
    }
    release_space_lock(signals);
    return words;
}

static void space_give_back(uint64_t words, uint32_t word_count)
{
    uint32_t first = (uint32_t)((words - unit_words(0)) * 8 / UNIT_BYTES);
    uint64_t signals = take_space_lock();
    for (uint32_t i = 0; i < word_count * 8 / UNIT_BYTES; i++)
        unit_taken[first + i] = 0;
    units_taken -= (uint32_t)(word_count * 8 / UNIT_BYTES);
    release_space_lock(signals);
}

static uint32_t ring_word_count(const struct thread_state *thread)
{
    return (uint32_t)(thread->ring_end - thread->ring);
}

static void publish(struct thread_state *thread)
{
    atomic_store_explicit(&thread->shared->cursor, thread->cursor, memory_order_release);
}

static void enter_ring(struct thread_state *thread, uint64_t words, uint32_t word_count)
{
    thread->ring = words;
    thread->ring_end = words + word_count;
    thread->cursor = words;
}

int ring_start(struct thread_state *thread)
{
    uint64_t words = space_take(1, UNIT_COUNT);
    if (!words)
        return 0;
    enter_ring(thread, words, UNIT_BYTES / 8);
    thread->limit = words - 1; /* the first event asks for room */
    thread->shared->first_ring = words;
    thread->shared->first_ring_words = UNIT_BYTES / 8;
    atomic_store_explicit(&thread->shared->drained, thread->shared->first_ring, memory_order_relaxed);
    publish(thread);
    return 1;
}

static uint64_t drained_position(const struct thread_state *thread)
{
    return atomic_load_explicit(&thread->shared->drained, memory_order_acquire);
}

static int within_ring(const struct thread_state *thread, uint64_t position)
{
    return position >= thread->ring && position < thread->ring_end;
}

static void wake_collector(void)
{
    atomic_fetch_add_explicit(&recorder_session->collector_wake, 1, memory_order_relaxed);
    futex_wake(&recorder_session->collector_wake, 1);
}

/* Set the next checkpoint: a quarter of the ring ahead at most, so that the collector is woken in time. */
static void set_limit(struct thread_state *thread, uint64_t free_end)
{
    uint64_t checkpoint = thread->cursor + ring_word_count(thread) / 4;
    thread->limit = (checkpoint < free_end ? checkpoint : free_end) - RING_RESERVE_WORDS;
}

/* Is there room at the cursor, after a wrap if need be? Sets the limit if so. */
static int find_room(struct thread_state *thread)
{
    uint64_t drained = drained_position(thread);
    int collector_here = within_ring(thread, drained);
    if (collector_here && thread->previous_ring) {
        space_give_back(thread->previous_ring, thread->previous_ring_words);
        thread->previous_ring = 0;
    }
    if (collector_here && drained > thread->cursor) {
        if (drained - thread->cursor <= RING_RESERVE_WORDS)
            return 0;
        set_limit(thread, drained - 1);
        return 1;
    }
    if (thread->ring_end - thread->cursor > RING_RESERVE_WORDS) {
        set_limit(thread, thread->ring_end);
        return 1;
    }
    if (!collector_here || drained - thread->ring <= RING_RESERVE_WORDS + 1)
        return 0;
    if (thread->cursor < thread->ring_end)
        session_words(recorder_session)[thread->cursor] = EVENT_WORD(EVENT_PAD, 0);
    thread->cursor = thread->ring;
    publish(thread);
    set_limit(thread, drained - 1);
    return 1;
}

static int grow(struct thread_state *thread)
{
    uint32_t old_words = ring_word_count(thread);
    if (thread->previous_ring || old_words * 8 >= SESSION_MAX_RING_BYTES || thread->ring_end - thread->cursor < 2)
        return 0;
    uint64_t words = space_take(old_words * 4 * 8 / UNIT_BYTES, GROWTH_BUDGET_UNITS);
    if (!words)
        return 0;
    uint64_t *jump = session_words(recorder_session) + thread->cursor;
    jump[0] = EVENT_WORD(EVENT_JUMP, words);
    jump[1] = old_words * 4;
    thread->previous_ring = thread->ring;
    thread->previous_ring_words = old_words;
    enter_ring(thread, words, old_words * 4);
    publish(thread);
    set_limit(thread, thread->ring_end);
    return 1;
}

/* The collector is behind: sleep until it has drained some, but never hang the target on it. */
static int wait_for_room(struct thread_state *thread)
{
    struct session_thread *shared = thread->shared;
    uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + WAIT_TOTAL_NS;
    int found = 0;
    if (atomic_load_explicit(&collector_stalled, memory_order_relaxed))
        return 0;
    while (!found && clock_ns(CLOCK_MONOTONIC) < deadline && !collector_died(recorder_session)) {
        uint32_t seen = atomic_load(&shared->space_futex);
        atomic_store(&shared->waiting, 1);
        wake_collector();
        if (!(found = find_room(thread)))
            futex_wait(&shared->space_futex, seen, WAIT_STEP_NS);
        atomic_store(&shared->waiting, 0);
        found = found || find_room(thread);
    }
    if (!found && collector_died(recorder_session)) {
        recorder_stop();
        collector_loss_write(0);
    } else if (!found) {
        atomic_store(&collector_stalled, 1);
    }
    return found;
}

int ring_make_room(struct thread_state *thread)
{
    if (find_room(thread)) {
        if (atomic_load_explicit(&collector_stalled, memory_order_relaxed))
            atomic_store(&collector_stalled, 0);
        uint64_t backlog = (thread->cursor - drained_position(thread)) & (ring_word_count(thread) - 1);
        if (backlog * 2 >= ring_word_count(thread))
            wake_collector();
        return 1;
    }
    int saved_errno = errno;
    int found = grow(thread) || wait_for_room(thread);
    errno = saved_errno;
    return found;
}

uint64_t ring_backlog_events(const struct thread_state *thread)
{
    const uint64_t *words = session_words(recorder_session);
    uint64_t at = drained_position(thread), cursor = atomic_load_explicit(&thread->shared->cursor, memory_order_acquire);
    uint64_t start = thread->ring, end = thread->ring_end;
    uint64_t events = 0;
    if (!within_ring(thread, at)) {
        start = thread->previous_ring;
        end = start ? start + thread->previous_ring_words : 0;
    }
    for (uint32_t step = 0; at != cursor && step < SESSION_RING_SPACE_BYTES / 8 && start && at >= start; step++) {
        enum event_opcode opcode = at < end ? EVENT_OPCODE(words[at]) : EVENT_PAD;
        if (opcode == EVENT_PAD) {
            at = start;
            continue;
        }
        if (opcode == EVENT_JUMP) {
            uint64_t offset = EVENT_PAYLOAD(words[at]), count = words[at + 1];
            if (offset * 8 < SESSION_RINGS_OFFSET || count > SESSION_RING_SPACE_BYTES / 8 || offset + count > SESSION_SURVEY_OFFSET / 8)
                break;
            at = start = offset;
            end = start + count;
            continue;
        }
        if (!event_word_count(opcode))
            break;
        events += opcode >= EVENT_ALLOCATE && opcode != EVENT_SAMPLING;
        at += event_word_count(opcode);
    }
    return events;
}

void ring_after_fork(void)
{
    lock_reset(&space_lock);
    units_taken = 0;
    for (uint32_t unit = 0; unit < UNIT_COUNT; unit++)
        unit_taken[unit] = 0;
    atomic_store(&collector_stalled, 0);
}
