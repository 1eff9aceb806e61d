/* ring.c against a collector that drains when it likes, as far as it likes: every word arrives once and in order, through laps, PADs and JUMPs,
 * nothing is written over what has not been taken, and a full ring refuses instead. */
#include "ring.h"

#include <sys/mman.h>

#include "check.h"
#include "collector_loss.h"
#include "event_words.h"
#include "recorder.h"
#include "session_start.h"

#define ROUNDS 300000

struct session_header *recorder_session;

void recorder_stop(void)
{
    CHECK(!"the collector of this test never dies");
}

void collector_loss_write(int wait)
{
}

int collector_died(struct session_header *session)
{
    return 0;
}

/* Where the simulated collector stands, as lib/collector/event_stream.c does it. */
static struct {
    uint64_t position, ring_start, ring_end, next_value;
} collector;

static uint64_t next_value, laps, jumps, refusals;

static void take_one(const uint64_t *words)
{
    uint64_t word = words[collector.position];
    if (EVENT_OPCODE(word) == EVENT_PAD) {
        collector.position = collector.ring_start;
        laps++;
    } else if (EVENT_OPCODE(word) == EVENT_JUMP) {
        collector.ring_start = EVENT_PAYLOAD(word);
        collector.ring_end = collector.ring_start + words[collector.position + 1];
        collector.position = collector.ring_start;
        jumps++;
    } else {
        CHECK_EQUAL(word, EVENT_WORD(EVENT_FREE, collector.next_value));
        collector.next_value++;
        collector.position++;
    }
}

/* Up to `limit` words; the position is told at the end, as a drain does. */
static void drain(struct session_thread *shared, uint64_t limit)
{
    const uint64_t *words = session_words(recorder_session);
    uint64_t end = shared->cursor;
    for (; collector.position != end && limit; limit--)
        take_one(words);
    shared->drained = collector.position;
}

/* A RUN, a THREAD and an event. */
static void append(struct thread_state *thread, uint64_t *random)
{
    CHECK(thread->cursor >= thread->ring && thread->cursor + RING_RESERVE_WORDS <= thread->ring_end);
    for (uint64_t count = 1 + check_random(random) % (EVENT_MAX_WORDS + 3); count; count--)
        session_words(recorder_session)[thread->cursor++] = EVENT_WORD(EVENT_FREE, next_value++);
    thread->shared->cursor = thread->cursor;
}

/* A thread that finds no room would sleep for seconds: let it have some first. */
static void make_room(struct thread_state *thread, uint64_t *random)
{
    uint64_t waiting = next_value - collector.next_value;
    if (waiting * 8 + UINT64_C(64) * 8 > SESSION_MAX_RING_BYTES / 4) {
        drain(thread->shared, waiting);
        refusals++;
    }
    while (!ring_make_room(thread))
        drain(thread->shared, 1 + check_random(random) % 100);
}

static void run(uint64_t seed, uint64_t drain_words)
{
    static struct thread_state thread;
    uint64_t random = seed;
    memset(&thread, 0, sizeof thread);
    ring_after_fork();
    thread.shared = &session_threads(recorder_session)[0];
    CHECK(ring_start(&thread));
    collector.position = collector.ring_start = thread.shared->first_ring;
    collector.ring_end = collector.ring_start + thread.shared->first_ring_words;
    collector.next_value = next_value;
    for (int round = 0; round < ROUNDS; round++) {
        if (check_random(&random) % 64 == 0)
            drain(thread.shared, check_random(&random) % drain_words);
        if (check_random(&random) % 256 == 0)
            CHECK_EQUAL(ring_backlog_events(&thread), next_value - collector.next_value);
        if (thread.cursor > thread.limit)
            make_room(&thread, &random);
        append(&thread, &random);
    }
    drain(thread.shared, ~0ull);
    CHECK_EQUAL(collector.next_value, next_value);
}

int main(void)
{
    recorder_session = mmap(NULL, SESSION_TOTAL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(recorder_session != MAP_FAILED);
    recorder_session->recording = 1;
    for (uint64_t seed = 1; seed <= 12; seed++)
        run(seed * 0x9e3779b97f4a7c15ull, 300ull << seed % 8);
    CHECK(laps > 100);
    CHECK(jumps > 3);
    CHECK(refusals > 0);
    return 0;
}
