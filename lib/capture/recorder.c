/* The cold half of recorder.h: admission of threads, claims of epochs, and what becomes of events that can't be recorded. */
#include "recorder.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture.h"
#include "object_survey.h"
#include "pages.h"
#include "python_attach.h"
#include "ring.h"
#include "thread_registry.h"

struct session_header *recorder_session;
_Atomic uint64_t recorder_own_requests;
_Atomic uint32_t recorder_is_quiet;

/* A claim that lasted for fewer words than this was hurried; after so many in a row the threads really run side by side. */
#define HURRIED_WORDS 128
#define HURRIED_CLAIMS 8
#define MARK_BYTES 4096

static int on_alternate_stack(void)
{
    stack_t stack;
    return syscall(SYS_sigaltstack, NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK);
}

/* A longjmp out of a signal handler can leave a hook without clearing the flag. A hook that is still running lies further out on the stack
 * than the one that asks; where that one lies further out, or in its very place, it is gone. */
static int flag_is_stale(const struct thread_state *thread, uintptr_t frame)
{
    return frame >= thread->busy && !on_alternate_stack();
}

static struct thread_state *admit_unregistered(void)
{
    if (!recorder_session && !capture_start(NULL))
        return NULL;
    if (!*recorder_mark || recorder_is_paused()) { /* no mark: a child that is not recorded */
        thread_registry_rest();
        return NULL;
    }
    struct thread_state *thread = thread_registry_add();
    if (!thread)
        atomic_fetch_add_explicit(&recorder_session->lost_events, 1, memory_order_relaxed);
    return thread;
}

struct thread_state *recorder_admit(struct thread_state *thread, uintptr_t frame)
{
    int saved_errno = errno;
    if (thread->busy == THREAD_INTERNAL) {
        atomic_fetch_add_explicit(&recorder_own_requests, 1, memory_order_relaxed);
        return NULL;
    }
    int was_resting = thread->busy == THREAD_RESTING;
    if (was_resting && !*recorder_mark)
        return NULL;
    if (was_resting)
        thread = thread_registry_wake();
    if (thread->busy == THREAD_UNREGISTERED)
        thread = admit_unregistered();
    else if (thread->busy && !flag_is_stale(thread, frame)) {
        atomic_fetch_add_explicit(&thread->shared->lost_events, 1, memory_order_relaxed);
        return NULL;
    }
    if (thread)
        thread->busy = frame;
    if (thread && was_resting && python_attached)
        python_attach_check();
    errno = saved_errno;
    return thread;
}

static void note_haste(struct thread_state *thread, uint64_t order)
{
    uint64_t words = (uint64_t)(thread->cursor - thread->claim_cursor);
    if (ORDER_OWNER(order) != 0 && words < HURRIED_WORDS)
        thread->hurried_claims++;
    else
        thread->hurried_claims = 0;
}

/* Become the owner of a new epoch, or join the parallel one. 0: nothing is to be recorded now. */
static int claim(struct thread_state *thread)
{
    uint64_t order = atomic_load_explicit(&recorder_session->order, memory_order_acquire);
    note_haste(thread, order);
    for (;;) {
        uint32_t owner = ORDER_OWNER(order);
        if (owner == ORDER_PAUSED)
            return 0;
        if (owner == ORDER_PARALLEL)
            break;
        uint32_t new_owner = thread->hurried_claims >= HURRIED_CLAIMS ? ORDER_PARALLEL : thread->slot + 1;
        uint64_t wanted = ORDER_WORD(ORDER_EPOCH(order) + 1, new_owner);
        if (atomic_compare_exchange_weak_explicit(&recorder_session->order, &order, wanted, memory_order_seq_cst, memory_order_acquire)) {
            order = wanted;
            break;
        }
    }
    int new_generation = thread->order == 0;
    thread->order = order | RECORDER_MARK;
    thread->stamping = ORDER_OWNER(order) == ORDER_PARALLEL;
    if (new_generation)
        *thread->cursor++ = EVENT_WORD(EVENT_THREAD, atomic_load_explicit(&thread->shared->generation, memory_order_relaxed));
    thread->cursor[0] = EVENT_WORD(EVENT_RUN, ORDER_EPOCH(order));
    thread->cursor[1] = clock_ticks();
    thread->cursor += 2;
    thread->claim_cursor = thread->cursor;
    return 1;
}

static const uint64_t unwiped_mark = RECORDER_MARK;
const uint64_t *recorder_mark = &unwiped_mark;

void recorder_mark_process(void)
{
    uint64_t *page = recorder_mark == &unwiped_mark ? pages_map(MARK_BYTES) : (uint64_t *)recorder_mark;
    if (!page)
        return;
    *page = RECORDER_MARK;
    if (recorder_mark == &unwiped_mark && syscall(SYS_madvise, page, MARK_BYTES, MADV_WIPEONFORK) != 0)
        pages_unmap(page, MARK_BYTES);
    else
        recorder_mark = page;
}

int recorder_prepare(struct thread_state *thread)
{
    int saved_errno = errno;
    uint64_t order = atomic_load_explicit(&recorder_session->order, memory_order_relaxed);
    int is_ready = *recorder_mark && ORDER_OWNER(order) != ORDER_PAUSED && (thread->cursor <= thread->limit || ring_make_room(thread)) &&
                   ((order | RECORDER_MARK) == thread->order || claim(thread));
    if (is_ready)
        object_survey_notice();
    errno = saved_errno;
    if (is_ready)
        return 1;
    if (!*recorder_mark || recorder_is_paused())
        thread_registry_rest();
    else
        atomic_fetch_add_explicit(&thread->shared->lost_events, 1, memory_order_relaxed);
    return 0;
}

void recorder_stop(void)
{
    atomic_store(&recorder_session->collector_state, COLLECTOR_GONE);
    uint64_t order = atomic_load(&recorder_session->order);
    while (!atomic_compare_exchange_weak(&recorder_session->order, &order, ORDER_WORD(ORDER_EPOCH(order) + 1, ORDER_PAUSED)))
        ;
}
