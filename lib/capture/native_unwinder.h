/* What a thread keeps of its last native stack, so that the next one need not be walked; native_levels.c, native_shortcut.c and native_unwind.c
 * fill and read it.
 *
 * Vocabulary
 *   level     a frame's place in the stack, 0 the outermost; level -1 is what the stack is on top of
 *   segment   Python frames that one activation of the interpreter's loop runs (python_stack.h): they stand in for its native frame
 *   spot      where a level stands: its stack pointer, and the return address that lies right below it on the stack
 *   cell      a word other than these return addresses that the way from a level to the one outside of it depended on
 *   verified  said of a level: the return addresses of all spots outside of it, and all cells on the way, are what they were
 *   mended    said of a level: its return address is another one, whose row is the same, so that it leads to the next one as before
 *   shortcut  the inner part of some earlier stack, from its innermost frame to a level
 *   imprint   some earlier stack as a whole: all that its way depended on
 *
 * Memory straight from the kernel; private to its thread. */
#ifndef HEAPLINE_CAPTURE_NATIVE_UNWINDER_H
#define HEAPLINE_CAPTURE_NATIVE_UNWINDER_H

#include <stdalign.h>
#include <stdint.h>

#include "cfi_cache.h"
#include "native_step.h"
#include "python_stack.h"
#include "thread_stack.h"
#include "thread_state.h"

/* Deeper stacks are cut: the innermost frames are kept. */
#define NATIVE_STACK_MAX_DEPTH (1 << 16)
#define NATIVE_SHORTCUT_SET_BITS 6
#define NATIVE_SHORTCUT_WAYS 2
#define NATIVE_SHORTCUT_PATIENCE 8 /* visits, before a shortcut that was of no use is replaced */
#define NATIVE_SHORTCUT_SPOTS 10
#define NATIVE_IMPRINT_BITS 9
#define NATIVE_IMPRINT_FOURS 7 /* words are compared four at a time */
#define NATIVE_IMPRINT_FORKS 2
#define NATIVE_IMPRINT_TRUST 8192  /* what they have at first, and at most (native_imprint.h) */
#define NATIVE_NO_LEVEL INT32_MAX

struct native_spot {
    uint64_t stack, address;
};

/* What else is known of a frame. */
struct native_detail {
    uint64_t frame_pointer;
    struct cfi_row row;
};

struct native_level {
    struct native_detail detail;
    uint64_t hash;       /* of the stack that ends with this frame (native_memo.h) */
    uint32_t node;       /* that stack; 0: nobody has asked yet */
    uint32_t dependence; /* cell_count << 1 | needs_frame_pointer */
    uint32_t segment_end; /* of the Python segments, so many stand here or further out */
};

/* A frame that a walk has come to. */
struct native_frame {
    struct native_spot spot;
    struct native_detail detail;
};

struct native_shortcut {
    alignas(256) struct native_place place;   /* stack 0: there is no such shortcut */
    uint64_t outer_frame_pointer; /* of the level outer_at, to which it leads … */
    uint64_t outer_hash;         /* … when it led to this node … */
    uint64_t segments_version;   /* … with these Python segments */
    uint32_t node;
    int32_t outer_at;
    uint8_t needs_frame_pointer, outer_needs_frame_pointer;
    uint8_t frame_count, spot_count;
    uint8_t segment_at; /* the innermost Python segment stands at this of its spots, or (frame_count) at its first place; 0: at none */
    uint8_t was_taken, idle_count; /* since its turn to be replaced came last; turns in which it had not been */
    /* Of frame_count levels, outer_at first (only where it stands); then cells, with 8 added to their addresses. */
    struct native_spot spots[NATIVE_SHORTCUT_SPOTS];
};

struct native_imprint_four {
    uint32_t offsets[4]; /* from where the stack begins */
    uint64_t values[4];
};

struct native_imprint {
    alignas(128) struct native_place place; /* stack 0: there is no such imprint */
    uint64_t key;                           /* in what circumstances it holds (native_imprint.h) */
    uint32_t node;
    uint8_t needs_frame_pointer;
    uint8_t four_count;
    uint8_t was_taken;                      /* since its turn to be replaced came last */
    struct native_imprint_four fours[NATIVE_IMPRINT_FOURS];
};

/* Places are kept apart by a few bits of them (native_shortcut_set). Of those that have the same: */
struct native_turn {
    uint32_t first; /* the shortcut that was taken last */
    uint32_t next;  /* the one to be replaced next, perhaps */
    int32_t level;  /* where a stack from there was a level the last time */
    uint32_t padding;
};

struct native_unwinder {
    int32_t level_count;        /* of levels that are kept: each leads to the one outside of it */
    int32_t identified;         /* of so many of them it is known which stack they are */
    int32_t meetable;           /* so many of them may be mended: all, or none where the stack has signal frames or is truncated */
    int32_t near;               /* the level that was looked for last, or about there */
    uint32_t last_node;         /* found by its hash */
    uint64_t segments_version;  /* of the Python segments that the levels' hashes tell */
    const struct python_segments *segments;
    uint64_t outer_limit;       /* Python segments from this address on stand outside of all levels … */
    uint32_t outer_segments;    /* … or, where they are counted, so many */
    struct native_spot *spots;  /* spots[-1].stack is beyond all addresses */
    struct native_level *levels;
    struct native_cell *cells;
    struct native_frame *fresh; /* frames of this walk that are in no level, innermost first */
    int32_t capacity;           /* of all but the cells, which are NATIVE_STEP_MAX_CELLS a level */
    int32_t signal_level;       /* the outermost level that was reached over a signal frame, or NATIVE_NO_LEVEL: its return address is elsewhere */
    uint32_t is_cut;            /* not whole, for whatever reason */
    uint32_t is_truncated;      /* the stack was too deep: level 0 has callers */
    uint32_t stack_lookups;
    uint64_t pthread_id;        /* whose stack it is; 0: of nobody so far */
    struct thread_stack stack;
    struct native_turn turns[1 << NATIVE_SHORTCUT_SET_BITS];
    struct native_shortcut shortcuts[1 << NATIVE_SHORTCUT_SET_BITS][NATIVE_SHORTCUT_WAYS]; /* from the same few places, perhaps different ways */
    struct cfi_cache rows;
    uint32_t imprint_version;   /* imprints of earlier ones don't hold */
    uint32_t imprint_rest;      /* they aren't asked for so many stacks */
    uint32_t imprint_is_missed; /* of the stack that is being captured there is none: it may be kept */
    int64_t imprint_trust;      /* below 0: they cost more than they save */
    uint32_t forks[1 << NATIVE_IMPRINT_BITS]; /* offsets from the innermost place; 0: none */
    struct native_imprint imprints[1 << NATIVE_IMPRINT_BITS];
};

/* The thread's first: also puts it into the thread state. NULL: no memory. */
COLD struct native_unwinder *native_unwinder_new(struct thread_state *thread);

/* Twice the capacity. 0: at the bound, or the system refuses. */
COLD int native_unwinder_grow(struct native_unwinder *unwinder);

/* Nothing is kept; what comes belongs to this module epoch. */
COLD void native_unwinder_forget(struct native_unwinder *unwinder, uint32_t module_epoch);

/* The same frames are another stack from now on: on top of another root. */
HOT_INLINE void native_unwinder_forget_nodes(struct native_unwinder *unwinder)
{
    unwinder->level_count = unwinder->identified = unwinder->meetable = 0;
}

/* The thread's state has gone to another thread, which has another stack. */
HOT_INLINE void native_unwinder_begin_thread(struct native_unwinder *unwinder)
{
    unwinder->pthread_id = 0;
    unwinder->stack = (struct thread_stack){0, 0};
}

/* Is the thread on its own stack with this stack pointer? For a thread that is new here or that may be on another stack. */
COLD int native_unwinder_find_stack(struct native_unwinder *unwinder, const struct thread_state *thread, uint64_t stack_pointer);

/* The first so many cells lead from this level to the end of the stack. */
HOT_INLINE uint32_t native_cell_count(const struct native_level *level)
{
    return level->dependence >> 1;
}

/* Must its frame pointer, too, be what it was? */
HOT_INLINE int native_needs_frame_pointer(const struct native_level *level)
{
    return level->dependence & 1;
}

HOT_INLINE int native_stack_holds(const struct native_unwinder *unwinder, uint64_t stack_pointer)
{
    return stack_pointer - unwinder->stack.low < unwinder->stack.high - unwinder->stack.low;
}

/* ---- are the kept levels still there? ---- */

HOT_INLINE int native_frame_pointer_fits(const struct native_unwinder *unwinder, const struct native_spot *spot, uint64_t frame_pointer)
{
    const struct native_level *level = &unwinder->levels[spot - unwinder->spots];
    return !native_needs_frame_pointer(level) || level->detail.frame_pointer == frame_pointer;
}

HOT_INLINE uint64_t native_spot_difference(const struct native_spot *spot)
{
    return *(const uint64_t *)(uintptr_t)(spot->stack - 8) ^ spot->address;
}

HOT_INLINE uint64_t native_four_spots_difference(const struct native_spot *spots)
{
    return (native_spot_difference(spots) | native_spot_difference(spots + 1)) | (native_spot_difference(spots + 2) | native_spot_difference(spots + 3));
}

/* Four at a time, and none waits for another; the last four perhaps over some that were looked at already. */
HOT_INLINE int native_spots_hold(const struct native_spot *spots, int count)
{
    uint64_t difference = 0;
    if (count >= 4) {
        const struct native_spot *last = spots + count - 4;
        for (; spots < last; spots += 4)
            difference |= native_four_spots_difference(spots);
        return (difference | native_four_spots_difference(last)) == 0;
    }
    for (const struct native_spot *end = spots + count; spots < end; spots++)
        difference |= native_spot_difference(spots);
    return difference == 0;
}

HOT_INLINE int native_cells_hold(const struct native_cell *cells, uint32_t count)
{
    uint64_t difference = 0;
    for (const struct native_cell *end = cells + count; cells < end; cells++)
        difference |= *(const uint64_t *)(uintptr_t)cells->address ^ cells->value;
    return difference == 0;
}

/* Does the way from level `inner` to the next one, or that which ends the stack at level -1, differ from what it was? */
HOT_INLINE int native_way_differs(const struct native_unwinder *unwinder, int inner)
{
    const struct native_level *level = &unwinder->levels[inner];
    uint32_t first = inner >= 0 ? native_cell_count(&level[-1]) : 0;
    /* Over a signal frame, the cells tell the return address, too. */
    int is_call = inner > 0 && cfi_row_kind(&level->detail.row) != CFI_SIGNAL;
    return (is_call && native_spot_difference(&unwinder->spots[inner - 1])) ||
           !native_cells_hold(&unwinder->cells[first], native_cell_count(level) - first);
}

COLD int native_level_is_verified_slowly(const struct native_unwinder *unwinder, int at);

HOT_INLINE int native_level_is_verified(const struct native_unwinder *unwinder, int at)
{
    if (unlikely(unwinder->signal_level < at))
        return native_level_is_verified_slowly(unwinder, at);
    return native_spots_hold(unwinder->spots, at) && native_cells_hold(unwinder->cells, native_cell_count(&unwinder->levels[at]));
}

#endif
