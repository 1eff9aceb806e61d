/* Takes definitions out of the session's definition ring and hands them to the trace writer.
 *
 * The target's threads number code objects, stacks and modules in an order that need not be the order they arrive in, and a forked child
 * lacks those that another thread of its parent was about to write. The trace wants 1, 2, 3 …, so each kind has a map from the session's
 * number to the trace's. For stacks, which every event names, the map is only built once the numbers differ.
 * One thread; allocates. */
#ifndef HEAPLINE_COLLECTOR_DEFINITION_INTAKE_H
#define HEAPLINE_COLLECTOR_DEFINITION_INTAKE_H

#include <stdint.h>

#include "compiler.h"
#include "session.h"
#include "trace_writer.h"

/* A growing array of 32-bit numbers, 0 where nothing was set. */
struct number_map {
    uint32_t *numbers;
    uint32_t capacity;
};

struct unfinished_code; /* a code object whose line table hasn't arrived as a whole */
struct known_thread;

struct definition_intake {
    struct trace_writer *writer;
    uint32_t stack_count;       /* stacks defined in the trace */
    uint32_t stacks_renumbered; /* stacks has to be asked */
    struct number_map stacks;
    uint32_t code_count;
    struct number_map codes;
    uint32_t module_count;
    struct number_map modules;
    uint64_t *load_bias;        /* by the trace's number */
    uint32_t load_bias_capacity;
    struct unfinished_code *unfinished;
    uint32_t thread_count;      /* threads defined in the trace */
    uint32_t nameless_threads;  /* so many have been defined without a name since the caller set it to 0 */
    struct known_thread *threads[SESSION_MAX_THREADS]; /* by slot, newest generation first */
    uint64_t refused;           /* records that made no sense */
};

void definition_intake_init(struct definition_intake *intake, struct trace_writer *writer);
void definition_intake_done(struct definition_intake *intake);
/* Go on with another writer, which has defined all that this one has, and another session, a forked child's. */
void definition_intake_move(struct definition_intake *intake, struct trace_writer *writer);
/* The same in the same session, threads included. */
void definition_intake_continue(struct definition_intake *intake, struct trace_writer *writer);

/* Take all records below `head` (bytes ever written), make room in the ring, wake who waits for it. */
void definition_intake_take(struct definition_intake *intake, struct session_header *session, uint64_t head);

/* The trace's number of the thread that is or was this generation of a slot; defines it where the target said nothing about it. */
uint32_t definition_intake_thread(struct definition_intake *intake, uint32_t slot, uint32_t generation, uint32_t kernel_id);

/* Give the newest thread of a slot, if it is of this generation, another name, if it has another one. */
void definition_intake_rename(struct definition_intake *intake, uint32_t slot, uint32_t generation, const char *name, uint32_t name_bytes);

COLD uint32_t definition_intake_renumbered_stack(const struct definition_intake *intake, uint32_t stack_id);

/* The trace's number of a stack; 0, the empty stack, for one that never arrived. */
HOT_INLINE uint32_t definition_intake_stack(const struct definition_intake *intake, uint32_t stack_id)
{
    if (likely(stack_id <= intake->stack_count && !intake->stacks_renumbered))
        return stack_id;
    return definition_intake_renumbered_stack(intake, stack_id);
}

#endif
