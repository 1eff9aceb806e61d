/* Which threads record: hands a thread its state and its session slot at its first event, takes them back after its last.
 *
 * A thread's last event comes after every destructor we could register: TLS destructors and libc's own clean-up allocate and free too. So
 * the state stays with the thread until the kernel no longer knows it; only then may a new thread take it over, slot, ring and all.
 * Cold; one lock; never allocates from the target's heap. */
#ifndef HEAPLINE_CAPTURE_THREAD_REGISTRY_H
#define HEAPLINE_CAPTURE_THREAD_REGISTRY_H

#include "thread_state.h"

/* Create the pthread key whose destructor tells a thread's end. From the constructor. */
void thread_registry_init(void);

/* Register the calling thread. NULL when there is no room (its events are then counted as lost). busy is set on return. */
struct thread_state *thread_registry_add(void);

/* Nothing is to be recorded: the calling thread gives its hooks a static state, which makes them return after one look, and keeps its own
 * for later. thread_registry_wake takes the static state back and returns what the thread had: its own, or that of an unregistered one. */
void thread_registry_rest(void);
struct thread_state *thread_registry_wake(void);
/* The same for a thread that goes on recording: its next hook begins with thread_registry_wake. */
void thread_registry_change(void);

/* The calling thread's own state, also while it rests or changes; where it has none, the static one. */
struct thread_state *thread_registry_own(void);

/* This memory is about to be unmapped: no thread has an object in it that it is giving up (thread_state.object_address). With busy set. */
void thread_registry_forget(const void *address, uint64_t length);

/* Record a thread's name as it is now. */
void thread_registry_name(struct thread_state *thread, const char *name);

/* All states of this process, newest first; states of threads that are gone included. */
struct thread_state *thread_registry_first(void);

/* Around a fork: keep the registry still. In the child: only the calling thread goes on, in a fresh session. */
void thread_registry_lock(void);
void thread_registry_unlock(void);
void thread_registry_after_fork(void);

#endif
