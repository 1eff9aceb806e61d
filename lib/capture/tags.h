/* Tags: what a program says it is doing (a request, a task, a phase), as the root of the stacks that it allocates with meanwhile.
 *
 * Consumes names; produces nodes. A tag is a node whose frame is the tag itself, with the tag around it for its caller. While a thread has a
 * tag, all its stacks begin there, so that an event's stack id tells its tag: an event costs the same with and without tags. What a change
 * of tag costs: the thread's kept stacks are resolved anew at its next event.
 * There are at most TAGS_MAX names; later ones become the name TAGS_OTHER, since each doubles the stacks below it.
 * Any thread, for itself; never allocates; keeps errno. */
#ifndef HEAPLINE_CAPTURE_TAGS_H
#define HEAPLINE_CAPTURE_TAGS_H

#include <stdint.h>

#include "compiler.h"
#include "thread_state.h"

#define TAGS_MAX 2048u
#define TAGS_NAME_BYTES 240u /* longer names are cut */
#define TAGS_MAX_DEPTH 16u   /* tags inside each other; deeper ones count for the one that they are in */
#define TAGS_OTHER "(other tags)"

/* The node of this tag inside another one (0: none). A tag directly inside itself is itself. Where it can't be defined: `outer`. */
uint32_t tags_find(uint32_t outer, const char *name, uint32_t name_bytes);

/* The calling thread's tag from now on. Ignored while the thread writes an event (a signal handler asks). */
void tags_set(uint32_t node);

/* A thread that took this state over, or wakes up: what it kept of its stacks may be of another tag. */
void tags_forget_stacks(struct thread_state *thread);

#endif
