/* The cold half of recorder.h: admission of threads, claims of epochs, and what becomes of events that can't be recorded. */
#include "recorder.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture.h"
#include "copy_hooks.h"
#include "definitions.h"
#include "object_survey.h"
#include "pages.h"
#include "python_attach.h"
#include "ring.h"
#include "sampling.h"
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

static int is_closed(uint64_t order)
{
    return ORDER_OWNER(order) == ORDER_PAUSED || ORDER_OWNER(order) == ORDER_LOST;
}

/* Nobody drains any more. Where everything is recorded threads rest, as in a paused process, but each of their events comes here, to be counted.
 * Where only some is, they go on to decide what they take: that is counted when it would have been written (recorder_prepare). */
static int only_counts(void)
{
    if (ORDER_OWNER(atomic_load_explicit(&recorder_session->order, memory_order_relaxed)) != ORDER_LOST || recorder_filter)
        return 0;
    atomic_fetch_add_explicit(&recorder_session->lost_events, 1, memory_order_relaxed);
    return 1;
}

static struct thread_state *admit_unregistered(void)
{
    if (!recorder_session && !capture_start(NULL))
        return NULL;
    if (!*recorder_mark || recorder_is_paused() || only_counts()) { /* no mark: a child that is not recorded */
        thread_registry_rest();
        return NULL;
    }
    struct thread_state *thread = thread_registry_add();
    if (!thread)
        atomic_fetch_add_explicit(&recorder_session->lost_events, 1, memory_order_relaxed);
    return thread;
}

static uint64_t wanted_interval(void)
{
    return atomic_load_explicit(&recorder_session->sampling_wanted_bytes, memory_order_acquire);
}

static void put_word(struct thread_state *thread, uint64_t word)
{
    session_words(recorder_session)[thread->cursor] = word;
    thread->cursor++;
}

static void tell_sampling(struct thread_state *thread)
{
    if (likely(!thread->must_tell_sampling))
        return;
    thread->must_tell_sampling = 0;
    put_word(thread, EVENT_WORD(EVENT_SAMPLING, thread->sampling_interval_bytes));
}

/* Where copies are sampled, small ones are, too. */
static uint64_t copy_threshold_for(uint64_t interval_bytes)
{
    if (interval_bytes)
        return 0;
    return recorder_session->sampling_interval_bytes ? SESSION_COPY_THRESHOLD_BYTES : recorder_session->copy_threshold_bytes;
}

/* A thread follows in two steps, so that no event is taken by one interval and counted by another. At a claim, or on the way to a sampling
 * point, when what the current hook does has been decided, it only makes sure that its next hook is one that asks before it decides, and that
 * comes by recorder_admit. There it takes the new interval, and its ring says so before the next event. Within CPython's allocator, whose
 * outer hook has decided already, and where CPython's hooks can't be exchanged, it tries again later. */
void recorder_notice_sampling(struct thread_state *thread)
{
    if (likely(wanted_interval() == thread->sampling_interval_bytes) || thread->object_request)
        return;
    sampling_open();
    if (!recorder_filter || !python_attach_may_sample())
        return;
    if (recorder_session->flags & SESSION_COPIES)
        copy_hooks_init(copy_threshold_for(wanted_interval()));
    thread_registry_change();
}

/* A thread that leaves one of our functions just now takes no note of it, and follows as above. */
void recorder_follow_sampling(void)
{
    uint64_t interval_bytes = wanted_interval();
    for (struct thread_state *thread = thread_registry_first(); thread; thread = thread->next) {
        uintptr_t ready = THREAD_READY;
        if (thread->shared && thread->sampling_interval_bytes != interval_bytes)
            __atomic_compare_exchange_n(&thread->busy, &ready, THREAD_FOLLOWING, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    if (recorder_session->flags & SESSION_COPIES)
        copy_hooks_init(copy_threshold_for(interval_bytes));
}

/* Before the current hook has decided anything. */
static void change_sampling(struct thread_state *thread)
{
    if (wanted_interval() != thread->sampling_interval_bytes)
        sampling_change(thread, wanted_interval());
}

struct thread_state *recorder_admit(struct thread_state *thread, uintptr_t frame)
{
    int saved_errno = errno;
    int was_changing = thread->busy == THREAD_CHANGING, was_aside = was_changing || thread->busy == THREAD_RESTING;
    if (was_aside && (!*recorder_mark || (!was_changing && only_counts())))
        return NULL;
    if (was_aside)
        thread = thread_registry_wake();
    int is_following = thread->busy == THREAD_FOLLOWING;
    if (is_following)
        thread->busy = THREAD_READY;
    if (thread->busy == THREAD_INTERNAL) {
        atomic_fetch_add_explicit(&recorder_own_requests, 1, memory_order_relaxed);
        return NULL;
    }
    if (thread->busy == THREAD_UNREGISTERED)
        thread = admit_unregistered();
    else if (thread->busy && !flag_is_stale(thread, frame)) {
        atomic_fetch_add_explicit(&thread->shared->lost_events, 1, memory_order_relaxed);
        return NULL;
    } else if (thread->busy) {
        definitions_recover();
        sampling_recover();
    }
    if (thread)
        thread->busy = frame;
    if (thread && was_aside && python_attached)
        python_attach_check();
    if (thread && (was_changing || (is_following && python_attach_may_sample())))
        change_sampling(thread);
    errno = saved_errno;
    return thread;
}

static void note_haste(struct thread_state *thread, uint64_t order)
{
    uint64_t words = thread->cursor - thread->claim_cursor;
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
        if (is_closed(order))
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
    if (unlikely(atomic_load_explicit(&recorder_is_quiet, memory_order_relaxed)))
        atomic_store(&recorder_is_quiet, 0); /* this thread has not been resting, others have */
    int new_generation = thread->order == 0;
    thread_set_order(thread, order, ORDER_OWNER(order) == ORDER_PARALLEL);
    if (new_generation)
        put_word(thread, EVENT_WORD(EVENT_THREAD, atomic_load_explicit(&thread->shared->generation, memory_order_relaxed)));
    uint64_t *run = session_words(recorder_session) + thread->cursor;
    run[0] = EVENT_WORD(EVENT_RUN, ORDER_EPOCH(order));
    run[1] = clock_ticks();
    thread->cursor += 2; /* at once: see recorder_begin_otherwise */
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
    int is_ready = *recorder_mark && !is_closed(order) && (thread->cursor <= thread->limit || ring_make_room(thread)) &&
                   (order == thread->order || claim(thread));
    if (is_ready) {
        tell_sampling(thread);
        recorder_notice_sampling(thread);
        object_survey_notice();
    }
    errno = saved_errno;
    if (is_ready)
        return 1;
    if (!*recorder_mark || recorder_is_paused() || only_counts())
        thread_registry_rest();
    else
        atomic_fetch_add_explicit(&thread->shared->lost_events, 1, memory_order_relaxed);
    return 0;
}

void recorder_stop(void)
{
    atomic_store(&recorder_session->collector_state, COLLECTOR_GONE);
    uint64_t order = atomic_load(&recorder_session->order);
    /* Without a trace nobody asks. Paused is paused. */
    uint32_t owner = *recorder_session->trace_path ? ORDER_LOST : ORDER_PAUSED;
    while (ORDER_OWNER(order) != ORDER_PAUSED &&
           !atomic_compare_exchange_weak(&recorder_session->order, &order, ORDER_WORD(ORDER_EPOCH(order) + 1, owner)))
        ;
}
