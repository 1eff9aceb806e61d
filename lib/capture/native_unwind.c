/* Consumes return addresses and saved registers on the stack, produces node ids.
 *
 * Most of a stack is what it was at the thread's last event: the verified prefix. What is kept of the last stack are its levels, and the cells
 * that led from each level to the one outside of it. Walk from the innermost frame until a place is that of a kept level; then all cells
 * between there and the outermost frame are compared with what they held, in one loop whose loads don't wait for one another. If all are
 * equal, so is the rest of the stack, and the level's node is known. An equal place alone proves nothing: a quarter of such stacks
 * have other callers.
 * Where cells differ, the levels inside of the innermost such cell still stand, and so do those outside of the outermost one: only what is in
 * between is walked again.
 *
 * A signal handler may interrupt this and jump away: levels count as kept only when they are complete. */
#include "native_unwind.h"

#include <stdatomic.h>
#include <string.h>

#include "cfi_cache.h"
#include "module_table.h"
#include "native_step.h"
#include "own_code.h"
#include "pages.h"
#include "recorder.h"
#include "stack_table.h"
#include "thread_stack.h"

#define FIRST_CAPACITY 256u
#define SLOT_BITS 10
#define STACK_LOOKUPS 8 /* a thread that is never seen on its own stack has none that can be found */

struct frame {
    struct native_place place;
    struct cfi_row row;
};

/* A frame of the last stack; level 0 is the outermost. */
struct level {
    struct frame frame;
    uint32_t node;                    /* the stack that ends with this frame */
    uint32_t cell_count : 31;         /* the first so many cells lead from here to the end of the stack */
    uint32_t needs_frame_pointer : 1; /* its frame pointer, too, must be what it was */
};

struct native_unwinder {
    uint32_t level_count;    /* of levels that are kept */
    uint32_t base, root;     /* they were asked for on top of `base`, and are on top of `root`: base or the cut */
    uint32_t is_truncated;   /* the stack was too deep: level 0 has callers */
    uint64_t boundary;
    struct level *levels;
    struct native_cell *cells;
    struct frame *fresh;     /* frames of this walk that are not in the levels, innermost first */
    uint32_t capacity;       /* of levels and fresh frames */
    uint32_t stack_lookups;
    uint64_t pthread_id;     /* whose stack it is */
    struct thread_stack stack;
    uint16_t slots[1 << SLOT_BITS]; /* by a place's stack pointer: its level */
    struct cfi_cache rows;
};

/* Why a walk has ended. */
enum walk_end {
    END_KEPT,      /* at a level that is verified */
    END_OUTERMOST,
    END_BOUNDARY,
    END_CUT,       /* no row for the last frame, or what it says can't be */
    END_TOO_DEEP,
    END_ELSEWHERE, /* the stack goes on outside of the thread's own */
};

struct walk {
    uint64_t boundary;
    uint32_t fresh_count;
    uint32_t usable;    /* levels below this one may end the walk */
    uint32_t verified;  /* … without another look at their cells */
    uint32_t kept;      /* END_KEPT: so many levels are the outer part of the stack */
    uint64_t end_cell;  /* END_OUTERMOST: where the zero is that says so; 0: the last frame's row does */
};

/* ---- what a thread keeps ---- */

COLD static struct native_unwinder *unwinder_new(struct thread_state *thread)
{
    struct native_unwinder *unwinder = pages_map(sizeof *unwinder);
    struct level *levels = pages_map(FIRST_CAPACITY * sizeof *levels);
    struct frame *fresh = pages_map(FIRST_CAPACITY * sizeof *fresh);
    struct native_cell *cells = pages_map(FIRST_CAPACITY * NATIVE_STEP_MAX_CELLS * sizeof *cells);
    if (!unwinder || !levels || !fresh || !cells) {
        if (unwinder)
            pages_unmap(unwinder, sizeof *unwinder);
        if (levels)
            pages_unmap(levels, FIRST_CAPACITY * sizeof *levels);
        if (fresh)
            pages_unmap(fresh, FIRST_CAPACITY * sizeof *fresh);
        if (cells)
            pages_unmap(cells, FIRST_CAPACITY * NATIVE_STEP_MAX_CELLS * sizeof *cells);
        atomic_fetch_add_explicit(&recorder_session->unsafe_stacks, 1, memory_order_relaxed);
        return NULL;
    }
    unwinder->levels = levels;
    unwinder->fresh = fresh;
    unwinder->cells = cells;
    unwinder->capacity = FIRST_CAPACITY;
    thread->unwinder = unwinder;
    return unwinder;
}

static void *grow_one(void *array, uint32_t capacity, size_t element_bytes)
{
    return pages_remap(array, capacity * element_bytes, 2 * capacity * element_bytes);
}

/* Twice the capacity. 0: at the bound, or the system refuses. */
COLD static int unwinder_grow(struct native_unwinder *unwinder)
{
    uint32_t capacity = unwinder->capacity;
    if (capacity >= NATIVE_STACK_MAX_DEPTH)
        return 0;
    struct level *levels = grow_one(unwinder->levels, capacity, sizeof *levels);
    if (levels)
        unwinder->levels = levels;
    struct frame *fresh = grow_one(unwinder->fresh, capacity, sizeof *fresh);
    if (fresh)
        unwinder->fresh = fresh;
    struct native_cell *cells = grow_one(unwinder->cells, capacity, NATIVE_STEP_MAX_CELLS * sizeof *cells);
    if (cells)
        unwinder->cells = cells;
    if (!levels || !fresh || !cells)
        return 0;
    unwinder->capacity = 2 * capacity;
    return 1;
}

COLD static void forget(struct native_unwinder *unwinder, uint32_t epoch)
{
    unwinder->level_count = 0;
    cfi_cache_forget(&unwinder->rows, epoch);
}

HOT_INLINE int is_on(const struct thread_stack *stack, uint64_t address)
{
    return address - stack->low < stack->high - stack->low;
}

/* The thread is new here, or runs on a stack that isn't known to be its own. */
COLD static int find_own_stack(struct native_unwinder *unwinder, const struct thread_state *thread, uint64_t stack_pointer)
{
    if (unwinder->pthread_id != thread->pthread_id) {
        unwinder->pthread_id = thread->pthread_id;
        unwinder->stack = (struct thread_stack){0, 0};
        unwinder->stack_lookups = 0;
        unwinder->level_count = 0;
    }
    if (is_on(&unwinder->stack, stack_pointer))
        return 1;
    if (unwinder->stack.high || unwinder->stack_lookups++ >= STACK_LOOKUPS)
        return 0;
    return thread_stack_find(thread->kernel_id == recorder_session->pid, thread->pthread_id, stack_pointer, &unwinder->stack);
}

/* ---- the walk ---- */

HOT_INLINE uint16_t *slot_of(struct native_unwinder *unwinder, uint64_t stack_pointer)
{
    return &unwinder->slots[stack_pointer >> 4 & ((1 << SLOT_BITS) - 1)]; /* at a call it is a multiple of 16 */
}

HOT_INLINE int is_at(const struct level *level, const struct native_place *place)
{
    const struct native_place *kept = &level->frame.place;
    return kept->stack == place->stack && kept->address == place->address &&
           (kept->frame_pointer == place->frame_pointer || !level->needs_frame_pointer);
}

HOT_INLINE uint64_t cell_difference(const struct native_cell *cell)
{
    return *(const uint64_t *)(uintptr_t)cell->address ^ cell->value;
}

HOT_INLINE int cells_hold(const struct native_cell *cells, uint32_t count)
{
    uint64_t difference = 0;
    for (uint32_t i = 0; i < count; i++)
        difference |= cell_difference(&cells[i]);
    return difference == 0;
}

HOT_INLINE int reserve_fresh(struct native_unwinder *unwinder, const struct walk *walk)
{
    return likely(walk->fresh_count < unwinder->capacity) || unwinder_grow(unwinder);
}

/* The walk has come to level `at`, but some cell further out has changed. Levels inside of the innermost of these are taken over as fresh
 * frames; those outside of the outermost may end the walk. 0: too many frames. */
static int take_over_inner(struct native_unwinder *unwinder, struct walk *walk, uint32_t at)
{
    const struct native_cell *cells = unwinder->cells;
    const struct level *levels = unwinder->levels;
    uint32_t outermost = 0, innermost = levels[at].cell_count - 1;
    while (!cell_difference(&cells[outermost]))
        outermost++;
    while (!cell_difference(&cells[innermost]))
        innermost--;
    for (uint32_t inner = at + 1; inner-- > 0;) {
        if (levels[inner].cell_count <= innermost)
            break;
        if (!reserve_fresh(unwinder, walk))
            return 0;
        unwinder->fresh[walk->fresh_count++] = levels[inner].frame;
    }
    for (walk->usable = at; walk->usable > 0 && levels[walk->usable - 1].cell_count > outermost;)
        walk->usable--;
    walk->verified = 1;
    return 1;
}

/* From a frame that needs more than two loads, or has no caller. */
COLD static enum native_step step_specially(const struct native_unwinder *unwinder, const struct frame *frame, struct native_place *place,
                                            int *ret_is_elsewhere)
{
    struct native_memory memory = {.low = frame->place.stack, .high = unwinder->stack.high};
    enum native_step result = native_step(&memory, &frame->row, place);
    *ret_is_elsewhere = memory.is_elsewhere ||
                        (result == NATIVE_STEP_TAKEN && (place->stack <= frame->place.stack || place->stack > memory.high));
    return result;
}

/* From the innermost place of the thread's own stack to a verified level, or to the end. Fresh frames are in unwinder->fresh. */
HOT_INLINE enum walk_end walk_outward(struct native_unwinder *unwinder, struct walk *walk, struct native_place place)
{
    uint64_t high = unwinder->stack.high;
    for (;;) {
        uint32_t at = *slot_of(unwinder, place.stack);
        if (at < walk->usable && is_at(&unwinder->levels[at], &place)) {
            if (likely(walk->verified || cells_hold(unwinder->cells, unwinder->levels[at].cell_count))) {
                walk->kept = at + 1;
                return END_KEPT;
            }
            if (!take_over_inner(unwinder, walk, at))
                return END_TOO_DEEP;
            place = unwinder->fresh[walk->fresh_count - 1].place;
        } else {
            if (unlikely(!reserve_fresh(unwinder, walk)))
                return END_TOO_DEEP;
            unwinder->fresh[walk->fresh_count++] = (struct frame){place, *cfi_cache_find(&unwinder->rows, place.address)};
        }
        struct frame *frame = &unwinder->fresh[walk->fresh_count - 1];
        struct cfi_row row = frame->row;
        if (likely(cfi_row_kind(&row) == CFI_FROM_STACK || cfi_row_kind(&row) == CFI_FROM_FRAME)) {
            uint64_t from = cfi_row_kind(&row) == CFI_FROM_STACK ? place.stack : place.frame_pointer;
            uint64_t cfa = from + (uint64_t)cfi_row_offset(&row), saved = cfa + (uint64_t)(int64_t)row.frame_pointer_offset;
            /* In the frame: between its own stack pointer and the CFA. */
            if (unlikely(cfa - 8 - place.stack >= high - place.stack || cfa > high ||
                         (row.frame_pointer_offset && saved - place.stack > cfa - 8 - place.stack)))
                return END_ELSEWHERE;
            place.address = *(const uint64_t *)(uintptr_t)(cfa - 8);
            if (row.frame_pointer_offset)
                place.frame_pointer = *(const uint64_t *)(uintptr_t)saved;
            place.stack = cfa;
            if (unlikely(!place.address)) {
                walk->end_cell = cfa - 8;
                return END_OUTERMOST;
            }
        } else {
            int is_elsewhere;
            enum native_step result = step_specially(unwinder, frame, &place, &is_elsewhere);
            if (is_elsewhere)
                return END_ELSEWHERE;
            if (result == NATIVE_STEP_FAILED)
                return END_CUT;
            if (result == NATIVE_STEP_OUTERMOST) {
                walk->end_cell = cfi_row_kind(&row) == CFI_OUTERMOST ? 0 : place.stack - 8;
                return END_OUTERMOST;
            }
        }
        if (unlikely(place.stack > walk->boundary)) {
            frame->row.module = CFI_MODULE_OWN; /* the interpreter's loop, for which the Python frame stands */
            return END_BOUNDARY;
        }
    }
}

/* ---- nodes ---- */

COLD static uint32_t node_of_special(const struct frame *frame, uint32_t parent)
{
    if (frame->row.module == CFI_MODULE_OWN)
        return parent;
    return stack_table_native(parent, module_table_find(frame->place.address - 1), frame->place.address);
}

HOT_INLINE uint32_t node_of(const struct frame *frame, uint32_t parent)
{
    if (unlikely(frame->row.module >= CFI_MODULE_HIGH))
        return node_of_special(frame, parent);
    return stack_table_native(parent, frame->row.module, frame->place.address);
}

/* ---- levels ---- */

/* The cells between a frame and the level outside of it, from `at` on; returns where the next ones go. */
HOT_INLINE uint32_t set_cells(struct native_unwinder *unwinder, uint32_t at, const struct frame *frame, const struct level *outer)
{
    const struct native_place *to = &outer->frame.place;
    enum cfi_kind kind = cfi_row_kind(&frame->row);
    if (unlikely(kind != CFI_FROM_STACK && kind != CFI_FROM_FRAME))
        return at + native_step_cells(&frame->row, &frame->place, to, outer->needs_frame_pointer, &unwinder->cells[at]);
    unwinder->cells[at++] = (struct native_cell){to->stack - 8, to->address};
    if (outer->needs_frame_pointer && frame->row.frame_pointer_offset)
        unwinder->cells[at++] = (struct native_cell){to->stack + (uint64_t)(int64_t)frame->row.frame_pointer_offset, to->frame_pointer};
    return at;
}

/* The fresh frames become levels on top of the first `count`, whose nodes are made anew if the base has changed. 0: a node can't be defined. */
HOT_INLINE uint32_t update_levels(struct native_unwinder *unwinder, const struct walk *walk, uint32_t count, uint32_t base)
{
    struct level *levels = unwinder->levels;
    uint32_t node = unwinder->root, is_lost = 0;
    unwinder->level_count = 0;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(unwinder->base != base)) {
        unwinder->base = base;
        for (uint32_t at = 0; at < count; at++) {
            levels[at].node = node = node_of(&levels[at].frame, node);
            is_lost |= !node;
        }
    } else if (count) {
        node = levels[count - 1].node;
    }
    for (uint32_t fresh = walk->fresh_count; fresh-- > 0; count++) {
        const struct frame *frame = &unwinder->fresh[fresh];
        struct level *level = &levels[count];
        int needs = 0;
        uint32_t cell_count;
        if (likely(count)) {
            needs = level[-1].needs_frame_pointer;
            cell_count = set_cells(unwinder, level[-1].cell_count, frame, &level[-1]);
        } else {
            unwinder->cells[0] = (struct native_cell){walk->end_cell, 0};
            cell_count = walk->end_cell != 0;
        }
        node = node_of(frame, node);
        is_lost |= !node;
        *level = (struct level){*frame, node, cell_count, (uint32_t)native_step_needs_frame_pointer(&frame->row, needs) & 1};
        *slot_of(unwinder, frame->place.stack) = (uint16_t)count;
    }
    if (unlikely(is_lost))
        return 0;
    atomic_signal_fence(memory_order_seq_cst);
    unwinder->level_count = count;
    return node;
}

static uint32_t root_of(uint32_t base, int is_cut)
{
    return is_cut && !base ? stack_table_cut() : base;
}

/* ---- captures ---- */

/* Frame by frame, believing nothing: on other stacks than the thread's own, or across to one. Nothing is kept. */
COLD static uint32_t capture_stepwise(struct native_unwinder *unwinder, struct native_place place, uint32_t base, uint64_t boundary)
{
    struct native_memory memory = {0};
    struct walk walk = {0};
    enum native_step result = NATIVE_STEP_TAKEN;
    if (is_on(&unwinder->stack, place.stack))
        memory = (struct native_memory){.low = place.stack, .high = unwinder->stack.high};
    while (result == NATIVE_STEP_TAKEN && reserve_fresh(unwinder, &walk)) {
        struct frame *frame = &unwinder->fresh[walk.fresh_count++];
        *frame = (struct frame){place, *cfi_cache_find(&unwinder->rows, place.address)};
        result = native_step(&memory, &frame->row, &place);
        if (result == NATIVE_STEP_TAKEN && boundary - frame->place.stack < place.stack - frame->place.stack) {
            walk.fresh_count--;
            result = NATIVE_STEP_OUTERMOST;
        }
    }
    uint32_t node = root_of(base, result != NATIVE_STEP_OUTERMOST);
    for (uint32_t fresh = walk.fresh_count; fresh-- > 0;)
        node = node_of(&unwinder->fresh[fresh], node);
    return node;
}

/* The whole walk, with nothing kept; of a stack that is too deep, so much of its inner part as leaves room to grow in. */
COLD static uint32_t capture_anew(struct native_unwinder *unwinder, struct native_place place, uint32_t base, uint64_t boundary)
{
    struct walk walk = {.boundary = boundary};
    enum walk_end end = walk_outward(unwinder, &walk, place);
    if (end == END_ELSEWHERE)
        return capture_stepwise(unwinder, place, base, boundary);
    if (end == END_TOO_DEEP)
        walk.fresh_count = unwinder->capacity / 4 * 3;
    unwinder->is_truncated = end == END_TOO_DEEP;
    unwinder->boundary = boundary;
    unwinder->base = base;
    unwinder->root = root_of(base, end == END_CUT || end == END_TOO_DEEP);
    return update_levels(unwinder, &walk, 0, base);
}

/* A truncated stack that most of its frames have left says less than could be known again. */
HOT_INLINE int is_worn_out(const struct native_unwinder *unwinder, uint32_t depth)
{
    return unlikely(unwinder->is_truncated) && depth < unwinder->capacity / 2;
}

HOT_INLINE uint32_t capture(struct native_unwinder *unwinder, struct native_place place, uint32_t base, uint64_t boundary)
{
    struct walk walk = {.boundary = boundary, .usable = boundary == unwinder->boundary ? unwinder->level_count : 0};
    enum walk_end end = walk_outward(unwinder, &walk, place);
    uint32_t depth = walk.kept + walk.fresh_count;
    if (end == END_KEPT && !walk.fresh_count && base == unwinder->base && !unwinder->is_truncated)
        return unwinder->levels[walk.kept - 1].node;
    if (unlikely(end == END_ELSEWHERE))
        return capture_stepwise(unwinder, place, base, boundary);
    if (unlikely(end == END_TOO_DEEP || (depth > unwinder->capacity && !unwinder_grow(unwinder)) ||
                 (end == END_KEPT && is_worn_out(unwinder, depth))))
        return capture_anew(unwinder, place, base, boundary);
    if (end != END_KEPT) {
        unwinder->is_truncated = 0;
        unwinder->boundary = boundary;
        unwinder->base = base;
    }
    if (end != END_KEPT || base != unwinder->base)
        unwinder->root = root_of(base, end == END_CUT);
    return update_levels(unwinder, &walk, walk.kept, base);
}

#ifdef HEAPLINE_STACK_SELF_CHECK

_Atomic uint64_t native_unwind_checks, native_unwind_differences;

/* Now and then: are the rows that this walk used what the tables say? */
static int rows_differ(const struct native_unwinder *unwinder)
{
    for (uint32_t at = 0; at < unwinder->capacity && unwinder->fresh[at].place.address; at++) {
        struct cfi_row row;
        cfi_find(unwinder->fresh[at].place.address, &row);
        row.module = unwinder->fresh[at].row.module;
        if (memcmp(&row, &unwinder->fresh[at].row, sizeof row))
            return 1;
    }
    return 0;
}

static void self_check(struct native_unwinder *unwinder, struct native_place place, uint32_t base, uint64_t boundary, uint32_t node)
{
    uint64_t check = atomic_fetch_add(&native_unwind_checks, 1);
    memset(unwinder->fresh, 0, unwinder->capacity * sizeof *unwinder->fresh);
    if (unwinder->is_truncated)
        return; /* says less */
    if (capture_stepwise(unwinder, place, base, boundary) != node || (check % 64 == 0 && rows_differ(unwinder)))
        atomic_fetch_add(&native_unwind_differences, 1);
}

#endif

/* The hook's frame, which has a frame pointer, tells its caller's place; where it is one of ours, climb on. */
HOT_INLINE struct native_place first_place(const struct thread_state *thread)
{
    const uint64_t *frame = likely(thread->busy >= THREAD_BUSY_FRAMES) ? (const uint64_t *)thread->busy : __builtin_frame_address(0);
    while (unlikely(own_code_holds((const void *)(uintptr_t)frame[1])))
        frame = (const uint64_t *)(uintptr_t)frame[0];
    return (struct native_place){.stack = (uintptr_t)(frame + 2), .frame_pointer = frame[0], .address = frame[1]};
}

uint32_t native_unwind(struct thread_state *thread, uint32_t base, uint64_t boundary)
{
    struct native_unwinder *unwinder = thread->unwinder;
    struct native_place place = first_place(thread);
    uint32_t epoch = atomic_load_explicit(&module_table_epoch, memory_order_acquire);
    if (unlikely(!unwinder) && !(unwinder = unwinder_new(thread)))
        return 0;
    if (unlikely(unwinder->rows.epoch != epoch))
        forget(unwinder, epoch);
    int is_own = unwinder->pthread_id == thread->pthread_id && is_on(&unwinder->stack, place.stack);
    if (unlikely(!is_own && !find_own_stack(unwinder, thread, place.stack)))
        return capture_stepwise(unwinder, place, base, boundary);
    /* Not further out on this stack: in no frame that will be seen. */
    if (boundary - place.stack >= unwinder->stack.high - place.stack)
        boundary = UINT64_MAX;
    uint32_t node = capture(unwinder, place, base, boundary);
#ifdef HEAPLINE_STACK_SELF_CHECK
    self_check(unwinder, place, base, boundary, node);
#endif
    return node;
}
