#include "capture_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "pages.h"

struct session_header *recorder_session;
static const uint64_t mark = RECORDER_MARK;
const uint64_t *recorder_mark = &mark;
static struct thread_state unregistered = {.busy = THREAD_UNREGISTERED};
TLS_FAST struct thread_state *current_thread = &unregistered;

struct thread_state *recorder_admit(struct thread_state *thread, uintptr_t frame)
{
    return NULL;
}

int recorder_prepare(struct thread_state *thread)
{
    return 0;
}

void recorder_notice_sampling(struct thread_state *thread)
{
}

void capture_fixture_begin(void)
{
    recorder_session = pages_map(SESSION_RINGS_OFFSET);
    capture_fixture_thread();
}

struct thread_state *capture_fixture_thread(void)
{
    current_thread = pages_map(sizeof *current_thread);
    current_thread->pthread_id = (uint64_t)pthread_self();
    current_thread->busy = THREAD_INTERNAL;
    return current_thread;
}

const struct definition *capture_fixture_next(void)
{
    const char *ring = (const char *)recorder_session + SESSION_DEFINITIONS_OFFSET;
    uint64_t tail = recorder_session->definition_tail;
    while (tail < recorder_session->definition_head) {
        const struct definition *record = (const void *)(ring + tail % SESSION_DEFINITION_BYTES);
        tail += (record->bytes + 7ull) & ~7ull;
        recorder_session->definition_tail = tail;
        if (record->type != DEFINE_PAD)
            return record;
    }
    return NULL;
}

void capture_fixture_discard(void)
{
    atomic_store(&recorder_session->definition_tail, atomic_load(&recorder_session->definition_head));
}
