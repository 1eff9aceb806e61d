/* Consumes return addresses and saved registers on the stack, produces node ids.
 *
 * A plain program's stack is mostly one of a few that were there before, as a whole (native_imprint.h). If not: most of a stack is what it was at
 * the thread's last event, and most of the rest are return addresses of functions that have gone on. So first
 * a level is looked for that stands where this stack begins (native_levels.h), then a shortcut to one (native_shortcut.h). Else walk from
 * the innermost frame until a place is that of a kept level, and compare all that the way from there to the outermost frame depended on
 * with what it was: the verified prefix. An equal place alone proves nothing: a quarter of such stacks have other callers.
 * Where something differs, the levels inside of the innermost difference still stand, and so do those outside of the outermost one: only what
 * is in between is walked again.
 *
 * A signal handler may interrupt this and jump away: levels count as kept only when they are complete. */
#include "native_unwind.h"

#include <stdatomic.h>
#include <string.h>

#include "module_table.h"
#include "native_fallback.h"
#include "native_imprint.h"
#include "native_levels.h"
#include "native_machine.h"
#include "native_shortcut.h"
#include "native_stack.h"
#include "native_stepwise.h"
#include "own_code.h"
#include "recorder.h"

/* Beyond so many levels that the stack has lost, don't pass them by each time. */
#define MAX_STALE_LEVELS 64

const struct python_segments native_unwind_no_segments;

/* Why a walk has ended. */
enum walk_end {
    END_KEPT,      /* at a level that is verified */
    END_OUTERMOST,
    END_CUT,       /* no row for the last frame, or what it says can't be */
    END_FULL,      /* no room for more frames */
    END_ELSEWHERE, /* the stack goes on outside of the thread's own, or by more than rows */
};

struct walk {
    uint64_t end_cell;    /* END_OUTERMOST: where the zero is that says so; 0: the last frame's row does */
    int32_t fresh_count;
    int32_t usable;       /* so many levels may end the walk … */
    uint32_t is_verified; /* … without another look */
    int32_t kept;         /* so many levels are the outer part of the stack */
};

/* ---- the walk ---- */

/* Where the caller's frame pointer is, for a level whose way to the next one is what it was. */
HOT_INLINE uint64_t frame_pointer_outside(const struct native_unwinder *unwinder, int inner, uint64_t frame_pointer)
{
    int32_t offset = unwinder->levels[inner].detail.row.frame_pointer_offset;
    return offset ? *(const uint64_t *)(uintptr_t)(unwinder->spots[inner - 1].stack + (uint64_t)(int64_t)offset) : frame_pointer;
}

/* The walk has come to level `at`, but something further out has changed. What still stands: inner levels become fresh frames, outer ones may
 * end the walk. Levels that did not depend on the frame pointer don't know it, so it is followed here. 0: no room for so many. */
OUTLINED int take_over(const struct native_unwinder *unwinder, struct walk *walk, int at, uint64_t frame_pointer)
{
    int inner = at;
    for (;; inner--) {
        const struct cfi_row *row = &unwinder->levels[inner].detail.row;
        if (walk->fresh_count == unwinder->capacity)
            return 0;
        unwinder->fresh[walk->fresh_count++] = (struct native_frame){unwinder->spots[inner], {frame_pointer, *row}};
        if (inner == 0 || !cfi_row_is_plain(row) || native_way_differs(unwinder, inner))
            break;
        frame_pointer = frame_pointer_outside(unwinder, inner, frame_pointer);
    }
    walk->usable = 0;
    if (!native_way_differs(unwinder, -1))
        while (walk->usable < inner && !native_way_differs(unwinder, walk->usable))
            walk->usable++;
    walk->is_verified = 1;
    return 1;
}

/* The step of a plain row, all of it below `limit`. 0: it leads beyond. */
HOT_INLINE int step_plainly(uint64_t limit, const struct cfi_row *row, struct native_place *place)
{
    uint64_t from = place->stack;
    if (cfi_row_kind(row) == CFI_FROM_FRAME) {
        from = place->frame_pointer;
        if (unlikely(from < place->stack) | unlikely(from > limit))
            return 0;
    }
    uint64_t cfa = from + (uint64_t)cfi_row_offset(row);
    if (unlikely(cfa > limit))
        return 0;
    if (row->frame_pointer_offset)
        place->frame_pointer = *(const uint64_t *)(uintptr_t)(cfa + (uint64_t)(int64_t)row->frame_pointer_offset);
    place->address = *(const uint64_t *)(uintptr_t)(cfa - 8);
    place->stack = cfa;
    return 1;
}

/* From a last fresh frame that needs more than two loads, leads out of the stack, or has no caller. 0: the walk ends there. */
COLD static int step_specially(const struct native_unwinder *unwinder, struct walk *walk, struct native_frame *frame, struct native_place *place,
                               enum walk_end *ret_end)
{
    struct native_memory memory = {.low = place->stack, .high = unwinder->stack.high};
    if (!place->address) {
        walk->end_cell = place->stack - 8;
        *ret_end = END_OUTERMOST;
        return 0;
    }
    if (cfi_row_kind(&frame->detail.row) == CFI_BEYOND_ROWS && native_fallback_is_there) {
        *ret_end = END_ELSEWHERE;
        return 0;
    }
    enum native_step result = native_step(&memory, &frame->detail.row, place);
    if (memory.is_elsewhere || (result == NATIVE_STEP_TAKEN && (place->stack <= memory.low || place->stack > memory.high))) {
        *ret_end = END_ELSEWHERE;
        return 0;
    }
    if (result == NATIVE_STEP_OUTERMOST)
        walk->end_cell = cfi_row_kind(&frame->detail.row) == CFI_OUTERMOST ? 0 : place->stack - 8;
    *ret_end = result == NATIVE_STEP_OUTERMOST ? END_OUTERMOST : END_CUT;
    return result == NATIVE_STEP_TAKEN;
}

/* From the innermost place of the thread's own stack to a verified level, or to the end. Fresh frames are in unwinder->fresh. */
HOT_INLINE enum walk_end walk_outward(struct native_unwinder *unwinder, struct walk *walk, struct native_place place)
{
    struct native_frame *fresh = unwinder->fresh, *room_end = fresh + unwinder->capacity;
    const struct native_spot *spot = unwinder->spots + walk->usable - 1;
    uint64_t limit = unwinder->stack.high;
    uint32_t greenlet = atomic_load_explicit(&module_table_greenlet, memory_order_relaxed);
    enum walk_end end;
    for (;;) {
        struct cfi_row row;
        while (spot->stack < place.stack)
            spot--;
        if (spot->address == place.address && spot->stack == place.stack && native_frame_pointer_fits(unwinder, spot, place.frame_pointer)) {
            int at = (int)(spot - unwinder->spots);
            if (walk->is_verified || native_level_is_verified(unwinder, at)) {
                walk->kept = at + 1;
                end = END_KEPT;
                break;
            }
            walk->fresh_count = (int32_t)(fresh - unwinder->fresh);
            if (!take_over(unwinder, walk, at, place.frame_pointer))
                return END_FULL;
            fresh = unwinder->fresh + walk->fresh_count;
            spot = unwinder->spots + walk->usable - 1;
            place = (struct native_place){fresh[-1].spot.stack, fresh[-1].spot.address, fresh[-1].detail.frame_pointer};
            row = fresh[-1].detail.row;
        } else {
            if (unlikely(fresh == room_end))
                return END_FULL;
            row = *cfi_cache_find(&unwinder->rows, place.address);
            *fresh++ = (struct native_frame){{place.stack, place.address}, {place.frame_pointer, row}};
            if (unlikely(row.module == greenlet) && native_segments_begin_greenlet(unwinder, (int32_t)(fresh - unwinder->fresh))) {
                walk->end_cell = 0;
                end = END_OUTERMOST;
                break;
            }
        }
        if (unlikely(!cfi_row_is_plain(&row)) || unlikely(!step_plainly(limit, &row, &place))) {
            struct native_place special = place; /* the other one stays in registers */
            int has_caller = step_specially(unwinder, walk, &fresh[-1], &special, &end);
            if (!has_caller) {
                fresh -= !place.address;
                break;
            }
            place = special;
        }
    }
    walk->fresh_count = (int32_t)(fresh - unwinder->fresh);
    return end;
}

/* ---- captures ---- */

/* Of a walk that came to the end of the stack, or as far as can be. */
static void make_levels(struct native_unwinder *unwinder, const struct walk *walk, enum walk_end end)
{
    native_levels_make(unwinder, walk->fresh_count, walk->end_cell, end != END_OUTERMOST, end == END_FULL);
}


/* The whole walk; of a stack that is too deep, so much of its inner part as leaves room to grow in. */
COLD static uint32_t capture_anew(struct native_unwinder *unwinder, struct native_place place)
{
    struct walk walk;
    enum walk_end end;
    do {
        walk = (struct walk){0};
        end = walk_outward(unwinder, &walk, place);
    } while (end == END_FULL && native_unwinder_grow(unwinder));
    if (end == END_ELSEWHERE)
        return native_stepwise_capture(unwinder, place);
    if (end == END_FULL)
        walk.fresh_count = unwinder->capacity / 4 * 3;
    make_levels(unwinder, &walk, end);
    if (unwinder->levels[unwinder->level_count - 1].segment_end != unwinder->segments->count)
        return native_stepwise_capture(unwinder, place);
    return native_levels_find_node(unwinder, unwinder->level_count - 1);
}

/* A truncated stack that most of its frames have left says less than could be known again. */
static int is_worn_out(const struct native_unwinder *unwinder, int depth)
{
    return unwinder->is_truncated && depth < unwinder->capacity / 2;
}

/* From a place on the thread's own stack, where no shortcut leads on. 0: no node. */
OUTLINED uint32_t capture_by_walk(struct native_unwinder *unwinder, unsigned set, struct native_place place)
{
    struct walk walk = {.usable = unwinder->level_count};
    enum walk_end end = walk_outward(unwinder, &walk, place);
    int depth = walk.kept + walk.fresh_count;
    if (unlikely(end == END_ELSEWHERE))
        return native_stepwise_capture(unwinder, place);
    if (unlikely(end == END_FULL || depth > unwinder->capacity || (end == END_KEPT && is_worn_out(unwinder, depth))))
        return capture_anew(unwinder, place);
    native_levels_identify(unwinder, walk.kept - 1);
    if (unlikely(end != END_KEPT)) {
        make_levels(unwinder, &walk, end);
    } else if (walk.fresh_count || unwinder->level_count - depth > MAX_STALE_LEVELS) {
        native_levels_push(unwinder, walk.kept, walk.fresh_count);
    }
    if (unlikely(unwinder->levels[depth - 1].segment_end != unwinder->segments->count)) {
        /* Where segments are counted, levels of another greenlet may have stood for them. */
        int is_anew = end != END_KEPT || !python_segments_are_counted(unwinder->segments);
        return is_anew ? native_stepwise_capture(unwinder, place) : capture_anew(unwinder, place);
    }
    uint32_t node = depth ? native_levels_node(unwinder, depth - 1) : unwinder->levels[-1].node;
    int outer = walk.fresh_count ? walk.kept - 1 : walk.kept - 2;
    if (outer >= 0)
        native_shortcut_make(unwinder, set, &place, depth - 1, outer, node);
    if (depth)
        native_imprint_keep(unwinder, &place, depth - 1, node);
    return node;
}

/* Where neither the level that was met last from such a place helps, nor the shortcut that was taken last. The place in registers: written to the
 * stack piece by piece and copied from there as a whole, it would be waited for. */
OUTLINED uint32_t capture_otherwise(struct native_unwinder *unwinder, unsigned set, uint64_t stack, uint64_t frame_pointer, uint64_t address)
{
    struct native_place place = {.stack = stack, .frame_pointer = frame_pointer, .address = address};
    int at = native_levels_find(unwinder, place.stack);
    if (at >= 0 && at != unwinder->turns[set].level) {
        unwinder->turns[set].level = at;
        if (native_levels_meet(unwinder, at, &place))
            return native_imprint_keep(unwinder, &place, at, native_levels_node(unwinder, at));
    }
    uint32_t node = native_shortcut_take_other(unwinder, set, &place);
    if (unlikely(!node))
        return capture_by_walk(unwinder, set, place);
    return native_imprint_keep_shortcut(unwinder, &unwinder->shortcuts[set][unwinder->turns[set].first], node);
}

/* On the thread's own stack, of which there is no imprint; 0: no node. */
HOT_INLINE uint32_t capture(struct native_unwinder *unwinder, struct native_place place)
{
    unsigned set = native_shortcut_set(place.stack, place.address);
    const struct native_turn *turn = &unwinder->turns[set];
    struct native_shortcut *shortcut = &unwinder->shortcuts[set][turn->first];
    uint32_t node;
    if (native_levels_meet(unwinder, turn->level, &place))
        return native_imprint_keep(unwinder, &place, turn->level, native_levels_node(unwinder, turn->level));
    if (likely((node = native_shortcut_take(unwinder, shortcut, &place)) != 0))
        return native_imprint_keep_shortcut(unwinder, shortcut, node);
    return capture_otherwise(unwinder, set, place.stack, place.frame_pointer, place.address);
}

#ifdef HEAPLINE_STACK_SELF_CHECK

_Atomic uint64_t native_unwind_checks, native_unwind_differences;

/* Now and then: are the rows that this walk used what the tables say? */
static int rows_differ(const struct native_unwinder *unwinder)
{
    for (int at = 0; at < unwinder->capacity && unwinder->fresh[at].spot.address; at++) {
        struct cfi_row row;
        cfi_find(unwinder->fresh[at].spot.address, &row);
        row.module = unwinder->fresh[at].detail.row.module;
        if (memcmp(&row, &unwinder->fresh[at].detail.row, sizeof row))
            return 1;
    }
    return 0;
}

static void self_check(struct native_unwinder *unwinder, struct native_place place, uint32_t node)
{
    uint64_t check = atomic_fetch_add(&native_unwind_checks, 1);
    memset(unwinder->fresh, 0, (size_t)unwinder->capacity * sizeof *unwinder->fresh);
    if (unwinder->is_truncated)
        return; /* says less */
    if (native_stepwise_capture(unwinder, place) != node || (check % 64 == 0 && rows_differ(unwinder)))
        atomic_fetch_add(&native_unwind_differences, 1);
}

#endif

/* ---- where to begin ---- */

/* Over the frames between the hook and the caller to credit; stays where it is when that one isn't met. */
HOT_INLINE struct native_place skip_to(struct native_unwinder *unwinder, struct native_place first, uint64_t caller)
{
    struct native_place place = first;
    for (int i = 0; i < NATIVE_MAX_SKIPPED_FRAMES; i++) {
        struct cfi_row row = *cfi_cache_find(&unwinder->rows, place.address);
        if (!cfi_row_is_plain(&row) || !step_plainly(unwinder->stack.high, &row, &place))
            return first;
        if (place.address == caller)
            return place;
    }
    return first;
}

/* The hook's frame, which has a frame pointer, tells its caller's place; where that is one of ours, climb on. */
static struct native_place first_place(const struct thread_state *thread)
{
    const uint64_t *frame = __builtin_frame_address(0);
    if (likely(thread->busy >= THREAD_BUSY_FRAMES))
        frame = (const uint64_t *)thread->busy;
    while (unlikely(own_code_holds((const void *)(uintptr_t)frame[1])))
        frame = (const uint64_t *)(uintptr_t)frame[0];
    return (struct native_place){.stack = (uintptr_t)(frame + 2), .frame_pointer = frame[0], .address = frame[1]};
}

/* The stack that begins at a hook. 0: no memory, or no node. */
static uint32_t unwind(struct native_unwinder *unwinder, const struct thread_state *thread, const void *caller,
                       const struct python_segments *segments)
{
    struct native_place place = first_place(thread);
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    if (unlikely(!unwinder))
        return 0;
    unwinder->segments = segments;
    if (unlikely(unwinder->rows.epoch != epoch))
        native_unwinder_forget(unwinder, epoch);
    if (!NATIVE_MACHINE_HAS_ROWS)
        return native_stepwise_capture_without_rows(unwinder, thread, (uintptr_t)caller);
    if (unlikely(unwinder->pthread_id != thread->pthread_id || !native_stack_holds(unwinder, place.stack))) {
        if (!native_unwinder_find_stack(unwinder, thread, place.stack))
            return native_stepwise_capture(unwinder, place);
    }
    if (place.address != (uintptr_t)caller)
        place = skip_to(unwinder, place, (uintptr_t)caller);
    if (unwinder->segments->version != unwinder->segments_version)
        native_levels_follow_segments(unwinder);
    uint32_t node = capture(unwinder, place);
#ifdef HEAPLINE_STACK_SELF_CHECK
    self_check(unwinder, place, node);
#endif
    return node;
}

OUTLINED uint32_t unwind_slowly(struct thread_state *thread, const void *caller, const struct python_segments *segments)
{
    struct native_unwinder *unwinder = thread->unwinder;
    if (unlikely(!unwinder))
        unwinder = native_unwinder_new(thread);
    uint32_t node = unwind(unwinder, thread, caller, segments);
    return likely(node) ? node : native_stack_of_caller(thread, caller);
}

/* Under the same circumstances as last time? All else takes its time. */
uint32_t native_unwind(struct thread_state *thread, const void *caller, const struct python_segments *segments)
{
    struct native_unwinder *unwinder = thread->unwinder;
    const uint64_t *frame = (const uint64_t *)thread->busy;
    uint64_t stack = (uintptr_t)(frame + 2);
    if (unlikely(!NATIVE_MACHINE_HAS_ROWS || !unwinder || unwinder->rows.epoch != atomic_load_explicit(&module_table_epoch, memory_order_acquire) ||
                 !native_stack_holds(unwinder, stack) || segments->version != unwinder->segments_version || frame[1] != (uintptr_t)caller))
        return unwind_slowly(thread, caller, segments);
    struct native_place place = {.stack = stack, .frame_pointer = frame[0], .address = frame[1]};
    unwinder->segments = segments;
    uint32_t node = capture(unwinder, place);
#ifdef HEAPLINE_STACK_SELF_CHECK
    self_check(unwinder, place, node);
#endif
    return likely(node) ? node : native_stack_of_caller(thread, caller);
}

/* The quick way: there is an imprint. */
OUTLINED uint32_t unwind_by_imprint(struct thread_state *thread, struct native_unwinder *unwinder, const void *caller)
{
    const uint64_t *frame = (const uint64_t *)thread->busy;
    struct native_place place = {.stack = (uintptr_t)(frame + 2), .frame_pointer = frame[0], .address = (uintptr_t)caller};
    if (likely(NATIVE_MACHINE_HAS_ROWS && unwinder->rows.epoch == atomic_load_explicit(&module_table_epoch, memory_order_acquire) &&
               native_stack_holds(unwinder, place.stack) && frame[1] == (uintptr_t)caller)) {
        uint32_t node = native_imprint_find(unwinder, &place);
#ifdef HEAPLINE_STACK_SELF_CHECK
        unwinder->segments = &native_unwind_no_segments;
        if (node)
            self_check(unwinder, place, node);
#endif
        if (likely(node))
            return node;
    }
    return native_unwind(thread, caller, &native_unwind_no_segments);
}

uint32_t native_unwind_plain(struct thread_state *thread, const void *caller)
{
    struct native_unwinder *unwinder = thread->unwinder;
    if (unlikely(!unwinder) || !native_imprint_may_help(unwinder))
        return native_unwind(thread, caller, &native_unwind_no_segments);
    return unwind_by_imprint(thread, unwinder, caller);
}
