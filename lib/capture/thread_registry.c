/* See thread_registry.h. */
#include "thread_registry.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "definitions.h"
#include "lock.h"
#include "native_unwinder.h"
#include "pages.h"
#include "recorder.h"
#include "ring.h"
#include "sampling.h"
#include "signals.h"
#include "tags.h"

#define THREAD_NAME_BYTES 16
#define FULL_LOOK_EVENTS 4096

static struct thread_state unregistered = {.busy = THREAD_UNREGISTERED};
static struct thread_state resting = {.busy = THREAD_RESTING, .sample_left = UINT64_MAX, .copy_left = UINT64_MAX};
TLS_FAST struct thread_state *current_thread = &unregistered;
/* Lets nothing pass. */
static struct thread_state changing = {.busy = THREAD_CHANGING};
/* The thread's own state while it rests or changes; NULL: it had none. */
static TLS_FAST struct thread_state *rested_thread;

static struct lock registry_lock;
static struct thread_state *first_state;
static uint32_t slot_count;
static pthread_key_t exit_key;
static int exit_key_valid;
/* No slot or no ring was left for a thread: the others that come need not look, until some thread has ended or many events were lost. */
static _Atomic uint32_t registry_full;

static int kernel_thread_gone(uint32_t kernel_id)
{
    int saved_errno = errno;
    long result = syscall(SYS_tgkill, recorder_session->pid, kernel_id, 0);
    int gone = result < 0 && errno == ESRCH;
    errno = saved_errno;
    return gone;
}

static struct thread_state *take_over_retired(void)
{
    for (struct thread_state *state = first_state; state; state = state->next)
        if (state->shared && atomic_load_explicit(&state->retiring, memory_order_acquire) && kernel_thread_gone(state->kernel_id)) {
            atomic_store_explicit(&state->retiring, 0, memory_order_relaxed);
            return state;
        }
    return NULL;
}

/* The calling thread's; NULL: it isn't registered. */
static struct thread_state *own_state(void)
{
    struct thread_state *state = current_thread == &resting || current_thread == &changing ? rested_thread : current_thread;
    return state == &unregistered ? NULL : state;
}

void thread_registry_rest(void)
{
    rested_thread = own_state();
    if (rested_thread)
        rested_thread->object_address = 0; /* the free that asks for it may come when it rests */
    current_thread = &resting;
    /* In this order: whoever wakes up after us clears it after us. */
    atomic_store(&recorder_is_quiet, 1);
    if (!recorder_is_paused())
        atomic_store(&recorder_is_quiet, 0);
}

struct thread_state *thread_registry_wake(void)
{
    struct thread_state *own = own_state();
    atomic_store(&recorder_is_quiet, 0);
    if (own)
        tags_forget_stacks(own);
    current_thread = own ? own : &unregistered;
    return current_thread;
}

struct thread_state *thread_registry_own(void)
{
    struct thread_state *own = own_state();
    return own ? own : current_thread;
}

void thread_registry_change(void)
{
    rested_thread = own_state();
    current_thread = &changing;
}

/* A state that the fork left without a slot, or a new one. */
static struct thread_state *blank_state(void)
{
    for (struct thread_state *state = first_state; state; state = state->next)
        if (!state->shared && state != own_state())
            return state;
    struct thread_state *state = pages_map_at(PLACE_THREAD, THREAD_STATE_BYTES);
    if (state) {
        syscall(SYS_madvise, (char *)thread_orders(state) - PLACE_ORDERS, PLACE_ORDERS + sizeof(struct thread_orders), MADV_WIPEONFORK);
        state->next = first_state;
        first_state = state;
    }
    return state;
}

static int give_slot(struct thread_state *state)
{
    if (slot_count >= SESSION_MAX_THREADS)
        return 0;
    state->shared = &session_threads(recorder_session)[slot_count];
    if (!ring_start(state)) {
        state->shared = NULL;
        return 0;
    }
    state->slot = slot_count++;
    return 1;
}

/* The words of a new thread begin with a THREAD event; it is written right before its first claim. */
static void begin_generation(struct thread_state *state)
{
    state->kernel_id = (uint32_t)syscall(SYS_gettid);
    state->pthread_id = (uint64_t)pthread_self();
    if (state->unwinder)
        native_unwinder_begin_thread(state->unwinder);
    thread_set_order(state, 0, 0);
    state->exit_rounds = 0;
    state->hurried_claims = 0;
    state->object_request = OBJECT_NONE;
    state->object_address = 0;
    tags_forget_stacks(state);
    atomic_store_explicit(&state->shared->thread_id, state->kernel_id, memory_order_relaxed);
    atomic_fetch_add_explicit(&state->shared->generation, 1, memory_order_release);
    sampling_begin_thread(state);
    if (atomic_load_explicit(&recorder_session->thread_slots_used, memory_order_relaxed) < slot_count)
        atomic_store_explicit(&recorder_session->thread_slots_used, slot_count, memory_order_release);
}

void thread_registry_forget(const void *address, uint64_t length)
{
    uint64_t signals = signals_block(); /* a handler that jumps away must not leave it held */
    lock_take(&registry_lock);
    for (struct thread_state *state = first_state; state; state = state->next) {
        uintptr_t object = __atomic_load_n(&state->object_address, __ATOMIC_RELAXED);
        if (object - (uintptr_t)address < length)
            __atomic_compare_exchange_n(&state->object_address, &object, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    }
    lock_release(&registry_lock);
    signals_restore(signals);
}

void thread_registry_name(struct thread_state *thread, const char *name)
{
    struct define_thread define = {.slot = thread->slot,
                                   .generation = atomic_load_explicit(&thread->shared->generation, memory_order_relaxed),
                                   .thread_id = thread->kernel_id,
                                   .name_bytes = (uint32_t)strnlen(name, THREAD_NAME_BYTES)};
    definitions_write(DEFINE_THREAD, &define, sizeof define, name, define.name_bytes, NULL, 0);
}

static void name_as_kernel_says(struct thread_state *thread)
{
    char name[THREAD_NAME_BYTES + 1] = "";
    syscall(SYS_prctl, PR_GET_NAME, name, 0, 0, 0);
    thread_registry_name(thread, name);
}

static void retire(struct thread_state *thread)
{
    atomic_store_explicit(&thread->retiring, 1, memory_order_release);
    atomic_store_explicit(&registry_full, 0, memory_order_relaxed);
}

/* pthread runs destructors in rounds as long as keys are set again: stay to the last, then let the slot go. */
static void thread_exits(void *context)
{
    struct thread_state *thread = context;
    if (!thread->shared)
        return; /* a fork has left it without a slot */
    uintptr_t was_busy = thread->busy;
    thread->busy = THREAD_INTERNAL;
    if (thread->exit_rounds++ == 0)
        name_as_kernel_says(thread);
    if (thread->exit_rounds < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(exit_key, thread);
    else
        retire(thread);
    thread->busy = was_busy;
}

void thread_registry_init(void)
{
    exit_key_valid = pthread_key_create(&exit_key, thread_exits) == 0;
    if (exit_key_valid && own_state())
        pthread_setspecific(exit_key, own_state());
}

static struct thread_state *add(void)
{
    lock_take(&registry_lock);
    struct thread_state *state = take_over_retired();
    if (!state) {
        state = blank_state();
        if (state && !give_slot(state))
            state = NULL;
    }
    if (state) {
        state->busy = THREAD_INTERNAL;
        current_thread = state;
        begin_generation(state);
    } else {
        atomic_store_explicit(&registry_full, 1, memory_order_relaxed);
    }
    lock_release(&registry_lock);
    if (state) {
        int saved_errno = errno;
        name_as_kernel_says(state);
        if (exit_key_valid)
            pthread_setspecific(exit_key, state);
        errno = saved_errno;
    }
    return state;
}

/* Looking for room takes the lock and a walk over all threads: not at every event of the threads that found none. */
static int worth_looking(void)
{
    return !atomic_load_explicit(&registry_full, memory_order_relaxed) ||
           atomic_load_explicit(&recorder_session->lost_events, memory_order_relaxed) % FULL_LOOK_EVENTS == 0;
}

struct thread_state *thread_registry_add(void)
{
    if (!worth_looking())
        return NULL;
    uint64_t signals = signals_block();
    /* A signal handler may have been here since the caller looked. */
    struct thread_state *state = current_thread == &unregistered ? add() : current_thread;
    if (state && state->busy == THREAD_INTERNAL)
        state->busy = (uintptr_t)__builtin_frame_address(0); /* what a handler does that comes now is the program's, and lost */
    signals_restore(signals);
    return state;
}

struct thread_state *thread_registry_first(void)
{
    return first_state;
}

void thread_registry_lock(void)
{
    lock_take(&registry_lock);
}

void thread_registry_unlock(void)
{
    lock_release(&registry_lock);
}

void thread_registry_after_fork(void)
{
    lock_reset(&registry_lock);
    slot_count = 0;
    atomic_store_explicit(&registry_full, 0, memory_order_relaxed);
    for (struct thread_state *state = first_state; state; state = state->next) {
        state->shared = NULL;
        state->previous_ring = 0;
        atomic_store_explicit(&state->retiring, 0, memory_order_relaxed);
    }
    struct thread_state *self = own_state();
    if (!self || !recorder_session)
        return;
    if (give_slot(self)) {
        begin_generation(self);
        name_as_kernel_says(self);
    } else {
        current_thread = &unregistered;
    }
}
