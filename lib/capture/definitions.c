/* Consumes definitions, produces records in the session's definition ring, which the collector drains.
 *
 * The ring counts bytes ever written (head, ours) and ever taken (tail, the collector's); their difference is what waits.
 * A full ring means a collector that is slow or dead: the writer wakes it and waits, WAIT_LIMIT_NS at most and once only. After that every
 * definition is dropped at once: the target must not be slowed down by a collector that does not come back. */
#include "definitions.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "clock.h"
#include "futex.h"
#include "owned_lock.h"
#include "recorder.h"

#define WAIT_LIMIT_NS 2000000000ull
#define WAIT_SLICE_NS 10000000ull

static struct owned_lock definition_lock;
static _Atomic uint32_t given_up;

int definitions_lock(void)
{
    return owned_lock_take(&definition_lock);
}

void definitions_unlock(void)
{
    owned_lock_release(&definition_lock);
}

void definitions_recover(void)
{
    owned_lock_recover(&definition_lock);
}

void definitions_after_fork(void)
{
    owned_lock_reset(&definition_lock);
    atomic_store_explicit(&given_up, 0, memory_order_relaxed);
}

int definitions_are_closed(void)
{
    return recorder_session && atomic_load_explicit(&recorder_session->definitions_closed, memory_order_relaxed);
}

static char *ring_bytes(void)
{
    return (char *)recorder_session + SESSION_DEFINITIONS_OFFSET;
}

static uint64_t free_bytes(uint64_t head)
{
    return SESSION_DEFINITION_BYTES - (head - atomic_load_explicit(&recorder_session->definition_tail, memory_order_acquire));
}

static int collector_is_gone(void)
{
    return atomic_load_explicit(&recorder_session->collector_state, memory_order_relaxed) == COLLECTOR_GONE;
}

static void wake_collector(void)
{
    atomic_fetch_add_explicit(&recorder_session->collector_wake, 1, memory_order_release);
    futex_wake(&recorder_session->collector_wake, 1);
}

COLD static int wait_for_room(uint64_t head, uint64_t needed_bytes)
{
    uint64_t deadline = clock_ns(CLOCK_MONOTONIC) + WAIT_LIMIT_NS;
    while (!collector_is_gone()) {
        uint32_t seen = atomic_load_explicit(&recorder_session->definition_futex, memory_order_acquire);
        if (free_bytes(head) >= needed_bytes)
            return 1;
        if (clock_ns(CLOCK_MONOTONIC) >= deadline)
            break;
        wake_collector();
        futex_wait(&recorder_session->definition_futex, seen, WAIT_SLICE_NS);
    }
    atomic_store_explicit(&given_up, 1, memory_order_relaxed);
    return 0;
}

/* A record's structs, which are whole words. memcpy would be a call of a hook of ours, and every new stack is a record. */
static char *put_words(char *at, const void *words, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t))
        atomic_store_explicit((_Atomic uint64_t *)(at + i), *(const uint64_t *)((const char *)words + i), memory_order_relaxed);
    return at + bytes;
}

static char *put(char *at, const void *bytes, size_t count)
{
    if (count)
        memcpy(at, bytes, count);
    return at + count;
}

/* Fills what is left before the ring's end when a record would straddle it. */
static uint64_t pad_to_start(uint64_t head, uint64_t record_bytes)
{
    uint64_t place = head % SESSION_DEFINITION_BYTES, left = SESSION_DEFINITION_BYTES - place;
    if (left >= record_bytes)
        return head;
    struct definition pad = {(uint32_t)left, DEFINE_PAD};
    put_words(ring_bytes() + place, &pad, sizeof pad);
    return head + left;
}

static uint64_t padding_bytes(uint64_t head, uint64_t record_bytes)
{
    uint64_t left = SESSION_DEFINITION_BYTES - head % SESSION_DEFINITION_BYTES;
    return left >= record_bytes ? 0 : left;
}

int definitions_append(enum definition_type type, const void *fixed, size_t fixed_bytes, const void *first, size_t first_bytes,
                       const void *second, size_t second_bytes)
{
    if (!recorder_session)
        return 0;
    struct definition header = {(uint32_t)(sizeof header + fixed_bytes + first_bytes + second_bytes), type};
    uint64_t record_bytes = (header.bytes + 7ull) & ~7ull;
    uint64_t head = atomic_load_explicit(&recorder_session->definition_head, memory_order_relaxed);
    uint64_t needed_bytes = record_bytes + padding_bytes(head, record_bytes);
    int saved_errno = errno;
    int room = !atomic_load_explicit(&given_up, memory_order_relaxed) && !definitions_are_closed() &&
               (free_bytes(head) >= needed_bytes || wait_for_room(head, needed_bytes));
    errno = saved_errno;
    if (!room) {
        atomic_fetch_add_explicit(&recorder_session->lost_definitions, 1, memory_order_relaxed);
        return 0;
    }
    head = pad_to_start(head, record_bytes);
    char *at = ring_bytes() + head % SESSION_DEFINITION_BYTES;
    at = put_words(at, &header, sizeof header);
    at = put_words(at, fixed, fixed_bytes);
    at = put(at, first, first_bytes);
    put(at, second, second_bytes);
    atomic_store_explicit(&recorder_session->definition_head, head + record_bytes, memory_order_release);
    return 1;
}

int definitions_write(enum definition_type type, const void *fixed, size_t fixed_bytes, const void *first, size_t first_bytes,
                      const void *second, size_t second_bytes)
{
    if (!definitions_lock()) {
        atomic_fetch_add_explicit(&recorder_session->lost_definitions, 1, memory_order_relaxed);
        return 0;
    }
    int written = definitions_append(type, fixed, fixed_bytes, first, first_bytes, second, second_bytes);
    definitions_unlock();
    return written;
}
