/* Adds events up instead of encoding them: what the writer does with them once its trace has grown as large as it may.
 *
 * Consumes events (through trace_writer_tally.c), produces struct trace_tally and its rows for one stretch of time after the other. The
 * level and the totals stay the account's; kept here is what each stack did, and what each had done when the highest level was reached,
 * exactly, in constant time an event:
 *   mark   counts high-water marks. The first time that a stack changes after a mark, it puts aside what it had (tally_touch); so at any time
 *          a stack's figures at the latest mark are what it put aside, or, if it hasn't changed since, what it has.
 *   age    of a live block: the writer no longer needs slots' sequence numbers, and keeps in that field when the block was allocated. Blocks
 *          of the event stream keep their sequence, which tells their order.
 *   last   the latest allocation of its thread, if it is live still: the flag SLOT_LAST in its slot, whose age field then holds the thread
 *          (its age waits with the thread). Freed with that flag it was temporary.
 * 4 bytes a stack, 80 more for each that changes, 64 where it takes samples, and none a live block. One thread; allocates. */
#ifndef HEAPLINE_TRACE_TALLY_H
#define HEAPLINE_TRACE_TALLY_H

#include "compiler.h"
#include "live_slots.h"
#include "trace_tally.h"

/* Beside enum trace_allocation_flag, in slots only. */
#define SLOT_LAST 0x40u
#define SLOT_LATE 0x80u /* allocated while tallying */

#define TALLY_MOMENTS 512u
#define TALLY_AGE_SHIFT 20 /* ages are counted in units of some milliseconds: 2^20 ns */

/* A cache line: what a stack did. Changes since the stretch began. */
struct tally_use {
    uint64_t live_bytes, live_allocations;
    uint64_t allocated_bytes, allocations;
    uint64_t temporary_allocations;
    uint64_t peak_bytes, peak_allocations; /* what it had at mark `mark` */
    uint64_t mark;                         /* the latest one when it changed last; 0: it hasn't in this stretch */
};

#define TALLY_FIRST_MARK 1

/* A cache line, too, of stacks that took samples: their variances, put aside as its use's figures are. */
struct tally_error {
    struct count_error sums;
    uint64_t mark, reserved;
};

struct tally_copies {
    uint64_t copied_bytes, copies;
};

struct tally_thread {
    uint32_t last_slot, last_age;          /* SLOT_NONE: none */
    uint32_t allocations;                  /* modulo 2^32 */
    /* what a realloc has freed last, in case that it fails */
    uint32_t freed_slot, freed_stack, freed_age, freed_owner, freed_owner_allocations;
    uint8_t freed_valid, freed_late, freed_temporary;
    uint64_t freed_bytes;
};

struct tally {
    uint32_t *places;              /* by stack: where it stands in the next two; 0: it has not changed since the tally began */
    struct tally_use *uses;
    struct tally_copies *copies;
    struct tally_error *errors;    /* only as far as there were samples */
    uint32_t use_count;            /* the first is nobody's */
    struct tally_thread *threads;
    uint32_t place_capacity, use_capacity, copy_capacity, error_capacity, thread_capacity;
    int out_of_memory;             /* something was not counted: no tally is right any more */
    uint32_t thread_id;
    uint32_t age;                  /* of a block allocated now */
    uint32_t stream_sequence;      /* of the first allocation that is not in the event stream */
    uint64_t stream_end_ns;
    struct trace_level start_level; /* of this stretch */
    uint64_t mark;
    uint32_t changed_stacks;       /* in this stretch */
    uint32_t moment_count;
    uint64_t moment_width_ns, moment_end_ns;
    uint64_t moment_peak_bytes, rss_bytes;
    struct tally_moment moments[TALLY_MOMENTS];
    struct tally_error nobodys_error;
};

/* For stacks and threads numbered up to these. Returns NULL without memory. */
struct tally *tally_new(uint32_t stack_count, uint32_t thread_count);
void tally_free(struct tally *tally);
/* One more stack or thread. Returns 0, or STATUS_NO_MEMORY: nothing changed. */
int tally_reserve(struct tally *tally, uint32_t stack_count, uint32_t thread_count);

/* All changes are counted from here on. */
void tally_begin_stretch(struct tally *tally, uint64_t time_ns, uint64_t heap_bytes);
/* Time moves on: closes a moment when it is due. */
void tally_time(struct tally *tally, uint64_t time_ns, uint64_t heap_bytes);
/* The stretch's last moment. */
void tally_close_moment(struct tally *tally, uint64_t time_ns, uint64_t heap_bytes);
/* Fill in what a stack did; births stay unset. Returns 0: nothing in this stretch. */
int tally_stack(const struct tally *tally, uint32_t stack_id, int has_peak, struct tally_stack *ret_stack);
/* The age of a live slot's block: compares as younger with a larger one. */
uint64_t tally_age(const struct tally *tally, const struct live_slot *slot);

/* The block in `slot` was allocated before the tally began, by this thread, as its latest one. */
void tally_set_last(struct tally *tally, struct live_slots *slots, uint32_t thread_id, uint32_t slot);

/* A stack's place, from its first change on. Without memory another one's, and out_of_memory is set. */
COLD uint32_t tally_new_place(struct tally *tally, uint32_t stack_id);

HOT_INLINE uint32_t tally_place(struct tally *tally, uint32_t stack_id)
{
    uint32_t place = tally->places[stack_id];
    return likely(place) ? place : tally_new_place(tally, stack_id);
}

/* The stack takes a sample, or frees one: what is known of its errors. Without memory another one's, and out_of_memory is set. */
COLD struct count_error *tally_error_of(struct tally *tally, uint32_t place);

/* The stack is about to change. */
HOT_INLINE struct tally_use *tally_touch(struct tally *tally, uint32_t place)
{
    struct tally_use *use = &tally->uses[place];
    if (use->mark != tally->mark) {
        tally->changed_stacks += use->mark == 0;
        use->peak_bytes = use->live_bytes;
        use->peak_allocations = use->live_allocations;
        use->mark = tally->mark;
    }
    return use;
}

#endif
