/* What each stack allocated, held and copied: the figures that the replay counts.
 *
 * Many traces have millions of stack nodes, of which most only lead to others, and most of the rest are used a few times. So only stacks
 * that events name have figures, 40 bytes each, numbered from 1 in the order of their first event; those that copy have 16 more. Of a sample
 * it is counted as well how far their counts may be from the truth.
 * One thread; allocates. */
#ifndef HEAPLINE_ANALYSIS_STACK_USES_H
#define HEAPLINE_ANALYSIS_STACK_USES_H

#include <stddef.h>
#include <stdint.h>

#include "compiler.h"
#include "count_error.h"

struct stack_use {
    uint64_t live_bytes;
    uint64_t allocated_bytes, allocations;
    uint64_t temporary_allocations;
    uint32_t live_allocations; /* there are fewer than 2^32 live blocks */
    uint32_t copy_id;          /* 0: none */
};

struct stack_copies {
    uint64_t bytes, count;
};

struct stack_uses {
    uint32_t *ids;                  /* by stack id: its use; 0: none */
    uint32_t stack_count;
    struct stack_use *uses;         /* from 1 */
    uint8_t *stamps;                /* by use: the replay's, which windows a stack changed in */
    struct stack_copies *copies;    /* from 1 */
    struct count_error *errors;     /* by use, of those below error_capacity; the others' counts are exact */
    uint32_t use_count, copy_count; /* one more than the highest number */
    size_t id_capacity, use_capacity, stamp_capacity, copy_capacity, error_capacity;
};

/* Returns 0 or STATUS_NO_MEMORY. */
int stack_uses_init(struct stack_uses *uses);
void stack_uses_done(struct stack_uses *uses);

/* There are so many stacks now; never fewer than before. Returns 0 or STATUS_NO_MEMORY. */
int stack_uses_extend(struct stack_uses *uses, uint32_t stack_count);

/* The first event of a stack: the number of its use. 0 without memory. */
COLD uint32_t stack_uses_add(struct stack_uses *uses, uint32_t stack_id);

/* Returns 0 or STATUS_NO_MEMORY. */
int stack_uses_count_copies(struct stack_uses *uses, uint32_t use_id, uint64_t bytes, uint64_t count);

/* To add to; NULL without memory. */
COLD struct count_error *stack_uses_error(struct stack_uses *uses, uint32_t use_id);
/* All zero where the counts are exact. */
struct count_error stack_uses_error_of(const struct stack_uses *uses, uint32_t use_id);

/* The use of a stack that an event names; 0 without memory. */
HOT_INLINE uint32_t stack_uses_get(struct stack_uses *uses, uint32_t stack_id)
{
    uint32_t id = uses->ids[stack_id];
    return likely(id) ? id : stack_uses_add(uses, stack_id);
}

#endif
