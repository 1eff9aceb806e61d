/* Consumes return addresses and saved registers on the stack, produces node ids.
 *
 * Most of a stack is what it was at the thread's last event: the verified prefix. Walk from the innermost frame until a place is that of a
 * kept level (native_unwinder.h); then compare all that the way from there to the outermost frame depended on with what it was, in loops
 * whose loads don't wait for one another. If all is equal, so is the rest of the stack, and the level's node is known. An equal place alone
 * proves nothing: a quarter of such stacks have other callers.
 * Where something differs, the levels inside of the innermost difference still stand, and so do those outside of the outermost one: only what
 * is in between is walked again.
 *
 * A signal handler may interrupt this and jump away: levels count as kept only when they are complete. */
#include "native_unwind.h"

#include <stdatomic.h>
#include <string.h>

#include "module_table.h"
#include "native_fallback.h"
#include "native_machine.h"
#include "native_memo.h"
#include "native_shortcut.h"
#include "native_stack.h"
#include "native_unwinder.h"
#include "own_code.h"
#include "recorder.h"
#include "stack_table.h"

/* Frames between the caller to credit and the hook: operator new[], operator new. */
#define MAX_SKIPPED_FRAMES 4

/* Beyond so many levels that the stack has lost, don't pass them by each time. */
#define MAX_STALE_LEVELS 64

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

/* The walk has come to level `at`, but something further out has changed. What still stands: inner levels become fresh frames, outer ones may
 * end the walk. 0: no room for so many. */
OUTLINED int take_over(const struct native_unwinder *unwinder, struct walk *walk, int at)
{
    int inner = at;
    for (;; inner--) {
        if (walk->fresh_count == unwinder->capacity)
            return 0;
        unwinder->fresh[walk->fresh_count++] = (struct native_frame){unwinder->spots[inner], unwinder->levels[inner].detail};
        if (inner == 0 || native_way_differs(unwinder, inner))
            break;
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

/* Among these frames, those of the interpreter's loop where Python segments are told by counting them. */
COLD static uint32_t count_loops(const struct native_frame *frames, int32_t count)
{
    uint32_t loops = 0;
    while (count-- > 0)
        loops += frames[count].detail.row.module == CFI_MODULE_LOOP;
    return loops;
}

/* The outer segments whose place isn't known. */
static uint32_t count_unknown(const struct python_segments *segments)
{
    uint32_t count = 0;
    while (count < segments->count && segments->list[count].address == UINT64_MAX)
        count++;
    return count;
}

/* Is this frame of the greenlet module, the last of so many fresh ones, the first of a greenlet? None of this stack's Python segments is known
 * to lie further out then. */
COLD static int begins_greenlet(const struct native_unwinder *unwinder, int32_t fresh_count)
{
    const struct python_segments *segments = unwinder->segments;
    if (python_segments_are_counted(segments))
        return count_loops(unwinder->fresh, fresh_count) >= segments->count;
    uint32_t first = count_unknown(segments);
    return first == segments->count || segments->list[first].address < unwinder->fresh[fresh_count - 1].spot.stack;
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
            if (!take_over(unwinder, walk, at))
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
            if (unlikely(row.module == greenlet) && begins_greenlet(unwinder, (int32_t)(fresh - unwinder->fresh))) {
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

/* ---- nodes ---- */

/* Python frames [first, end) of the segments, on top of `parent`. `hash`: of the stack that ends with the last one. */
static uint32_t graft(const struct python_segments *segments, uint32_t first, uint32_t end, uint32_t parent, uint64_t hash)
{
    uint32_t node = parent;
    for (uint32_t i = first; i < end; i++) {
        uint32_t last = 0, at = segments->list[i].first, level_end = python_segment_end(segments, i);
        for (; at < level_end; at++) {
            /* Frames that are hidden have their caller's node. */
            uint32_t frame = segments->nodes[at];
            int is_last = i + 1 == end && frame == segments->list[i].node;
            if (frame && frame != last && !(node = stack_table_graft(node, frame, is_last ? hash : 0)))
                return 0;
            last = frame;
        }
    }
    return node;
}

static uint64_t graft_hash(const struct python_segments *segments, uint32_t first, uint32_t end, uint64_t hash)
{
    for (uint32_t i = first; i < end; i++)
        hash = native_segment_hash(hash, &segments->list[i]);
    return hash;
}

/* Segments from `first` on that stand at this address or further out; returns where they end. */
HOT_INLINE uint32_t segments_outside(const struct python_segments *segments, uint32_t first, uint64_t address)
{
    while (first < segments->count && segments->list[first].address >= address)
        first++;
    return first;
}

/* Python frames whose place isn't known, or further out than the known native frames, come first: marked as cut. */
static uint32_t root_of(const struct python_segments *segments, uint32_t segment_end, int is_cut)
{
    int python_is_cut = segments->count && segments->nodes[-1];
    return graft(segments, 0, segment_end, python_is_cut || is_cut || segment_end ? stack_table_cut(stack_root) : stack_root, 0);
}

static uint32_t node_of(uint64_t address, const struct cfi_row *row, uint32_t parent, uint64_t hash)
{
    if (row->module == CFI_MODULE_OWN)
        return parent;
    uint32_t module = row->module >= CFI_MODULE_SPECIAL ? module_table_find(address - 1) : row->module;
    return stack_table_native(parent, module, address, hash);
}

/* Is it the interpreter's loop? Its Python frames stand for it. */
HOT_INLINE int has_segments(const struct native_level *level)
{
    return level->segment_end != level[-1].segment_end;
}

static uint32_t node_of_segments(struct native_unwinder *unwinder, int at, uint32_t parent)
{
    const struct native_level *level = &unwinder->levels[at];
    uint32_t node = native_memo_look_up(&unwinder->last_node, level->hash);
    if (node)
        return node;
    return graft(unwinder->segments, level[-1].segment_end, level->segment_end, parent, level->hash);
}

/* Asks the stack table for this level and all outside of it that nobody has asked for. 0: a node can't be defined. */
OUTLINED uint32_t find_node(struct native_unwinder *unwinder, int at)
{
    struct native_level *levels = unwinder->levels;
    int known = at;
    while (known >= 0 && !levels[known].node)
        known--;
    uint32_t node = levels[known].node;
    while (known++ < at) {
        if (has_segments(&levels[known]))
            node = node_of_segments(unwinder, known, node);
        else
            node = node_of(unwinder->spots[known].address, &levels[known].detail.row, node, levels[known].hash);
        if (!node && levels[known].detail.row.module != CFI_MODULE_OWN && levels[known].hash != levels[-1].hash)
            return 0;
        levels[known].node = node;
    }
    return native_memo_keep(&unwinder->last_node, levels[at].hash, node);
}

HOT_INLINE uint32_t node_of_level(struct native_unwinder *unwinder, int at)
{
    struct native_level *level = &unwinder->levels[at];
    if (!level->node)
        level->node = native_memo_find(&unwinder->last_node, level->hash);
    return likely(level->node) ? level->node : find_node(unwinder, at);
}

/* ---- levels ---- */

/* Of a level whose code is known to be something else than the program's. Returns where the segments end that it and all outside stand for:
 * beyond their number, if there are more loops than segments. */
COLD static uint32_t set_special_hash(const struct python_segments *segments, uint64_t address, struct native_level *level)
{
    const struct native_level *outer = level - 1;
    uint32_t end = outer->segment_end;
    int is_loop = level->detail.row.module == CFI_MODULE_LOOP;
    if (is_loop && end < segments->count)
        level->hash = native_segment_hash(outer->hash, &segments->list[end]);
    else
        level->hash = level->detail.row.module == CFI_MODULE_OWN ? outer->hash : native_memo_hash(outer->hash, address);
    return end + (uint32_t)is_loop;
}

/* Which segments this level stands for, its hash, and that nobody has asked for its node. */
HOT_INLINE void set_identity(const struct python_segments *segments, const struct native_spot *spot, struct native_level *level)
{
    const struct native_level *outer = level - 1;
    uint32_t end = outer->segment_end;
    if (end < segments->count && segments->list[end].address >= spot->stack) {
        end = segments_outside(segments, end, spot->stack);
        level->hash = graft_hash(segments, outer->segment_end, end, outer->hash);
    } else if (unlikely(level->detail.row.module >= CFI_MODULE_SPECIAL)) {
        end = set_special_hash(segments, spot->address, level);
    } else {
        level->hash = native_memo_hash(outer->hash, spot->address);
    }
    level->segment_end = end;
    level->node = 0;
}

static void set_root(struct native_unwinder *unwinder)
{
    const struct python_segments *segments = unwinder->segments;
    struct native_level *root = &unwinder->levels[-1];
    root->segment_end = segments_outside(segments, 0, unwinder->outer_limit);
    if (unlikely(python_segments_are_counted(segments)))
        root->segment_end = unwinder->outer_segments < segments->count ? unwinder->outer_segments : segments->count;
    root->node = root_of(segments, root->segment_end, (int)unwinder->is_cut);
    root->hash = native_memo_hash(native_memo_hash(0, unwinder->rows.epoch + 1ull), root->node);
}

/* The cells of a way that is more than a return address; returns where the next ones go. */
COLD static uint32_t set_special_cells(struct native_unwinder *unwinder, uint32_t first, const struct native_frame *frame, int outer)
{
    const struct native_level *level = &unwinder->levels[outer];
    struct native_place from = {frame->spot.stack, frame->spot.address, frame->detail.frame_pointer};
    struct native_place to = {unwinder->spots[outer].stack, unwinder->spots[outer].address, level->detail.frame_pointer};
    if (outer < 0)
        return first;
    if (cfi_row_kind(&frame->detail.row) == CFI_SIGNAL && unwinder->signal_level == NATIVE_NO_LEVEL)
        unwinder->signal_level = outer;
    return first + native_step_cells(&frame->detail.row, &from, &to, native_needs_frame_pointer(level), &unwinder->cells[first]);
}

/* Puts the fresh frames on top of the first walk->kept levels. */
HOT_INLINE void push_fresh(struct native_unwinder *unwinder, const struct walk *walk)
{
    struct native_spot *spot = &unwinder->spots[walk->kept - 1];
    struct native_level *level = &unwinder->levels[walk->kept - 1];
    const struct native_frame *first = unwinder->fresh, *frame = first + walk->fresh_count;
    const struct python_segments *segments = unwinder->segments;
    uint32_t dependence = level->dependence;
    uint64_t stamp = unwinder->stamps;
    if (unlikely(unwinder->signal_level >= walk->kept - 1)) /* it goes, if there is one */
        unwinder->signal_level = NATIVE_NO_LEVEL;
    while (frame-- > first) {
        const struct cfi_row *row = &frame->detail.row;
        if (unlikely(dependence & 1) | unlikely(!cfi_row_is_plain(row))) {
            uint32_t cell_count = dependence >> 1;
            int needs = native_step_needs_frame_pointer(row, (int)dependence & 1);
            if (!cfi_row_is_plain(row))
                cell_count = set_special_cells(unwinder, cell_count, frame, (int)(level - unwinder->levels));
            else if (row->frame_pointer_offset)
                unwinder->cells[cell_count++] = (struct native_cell){spot->stack + (uint64_t)(int64_t)row->frame_pointer_offset,
                                                                     level->detail.frame_pointer};
            dependence = cell_count << 1 | ((uint32_t)needs & 1);
        } else if (cfi_row_kind(row) == CFI_FROM_FRAME) {
            dependence |= 1;
        }
        *++spot = frame->spot;
        level++;
        level->detail = frame->detail;
        level->dependence = dependence;
        level->stamp = ++stamp;
        set_identity(segments, spot, level);
    }
    unwinder->stamps = stamp;
    atomic_signal_fence(memory_order_seq_cst);
    unwinder->level_count = walk->kept + walk->fresh_count;
}

/* From now on until they are complete, no levels are kept. */
HOT_INLINE void begin_levels(struct native_unwinder *unwinder)
{
    unwinder->level_count = 0;
    atomic_signal_fence(memory_order_seq_cst);
}

/* Of a cut stack: each loop among the frames that are known runs one segment, the innermost ones. */
static uint32_t segments_outside_of_loops(const struct native_unwinder *unwinder, int32_t fresh_count)
{
    uint32_t loops = count_loops(unwinder->fresh, fresh_count), count = unwinder->segments->count;
    return loops < count ? count - loops : 0;
}

/* All levels are new. */
static void make_levels(struct native_unwinder *unwinder, const struct walk *walk, enum walk_end end)
{
    begin_levels(unwinder);
    unwinder->is_truncated = end == END_FULL;
    unwinder->is_cut = end == END_CUT || end == END_FULL;
    /* A frame whose caller isn't known may end anywhere. */
    unwinder->outer_limit = unwinder->is_cut && walk->fresh_count ? unwinder->fresh[walk->fresh_count - 1].spot.stack : UINT64_MAX;
    unwinder->outer_segments = unwinder->is_cut ? segments_outside_of_loops(unwinder, walk->fresh_count) : 0;
    unwinder->segments_version = unwinder->segments->version;
    set_root(unwinder);
    unwinder->cells[0] = (struct native_cell){walk->end_cell, 0};
    unwinder->levels[-1].dependence = walk->end_cell ? 1 << 1 : 0;
    push_fresh(unwinder, walk);
}

/* Where no Python segment is known to lie outside of a frame of the greenlet module, the stack begins with that frame: the innermost such one.
 * Of fresh frames the walk sees to it (begins_greenlet), and no shortcut leads over such a frame. Levels were made with other segments, perhaps
 * of another greenlet, or of the one that this one was started from: do so many of them still begin where they should? */
static int begin_well(const struct native_unwinder *unwinder, int count)
{
    const struct native_level *levels = unwinder->levels;
    uint32_t greenlet = atomic_load_explicit(&module_table_greenlet, memory_order_relaxed);
    if (likely(greenlet == UINT32_MAX) || !count)
        return 1;
    uint32_t unknown = count_unknown(unwinder->segments);
    if (levels[0].detail.row.module == greenlet && levels[0].segment_end > unknown)
        return 0;
    for (int at = 1; at < count && levels[at].segment_end <= unknown; at++)
        if (levels[at].detail.row.module == greenlet)
            return 0;
    return 1;
}

/* Python segments have changed, from the first of them or from `steady` on: the levels that stand for them and all inside are other stacks. */
OUTLINED void follow_segments(struct native_unwinder *unwinder)
{
    const struct python_segments *segments = unwinder->segments;
    uint32_t steady = segments->version == unwinder->segments_version + 1 ? segments->steady : 0;
    uint64_t address = steady < segments->count ? segments->list[steady].address : 0;
    int count = unwinder->level_count, at = count;
    while (at >= 0 && (unwinder->levels[at - 1].segment_end > steady || address >= (at ? unwinder->spots[at - 1].stack : unwinder->outer_limit)))
        at--;
    begin_levels(unwinder);
    unwinder->segments_version = segments->version;
    if (at < 0)
        set_root(unwinder);
    for (at = at < 0 ? 0 : at; at < count; at++) {
        unwinder->levels[at].stamp = ++unwinder->stamps;
        set_identity(segments, &unwinder->spots[at], &unwinder->levels[at]);
    }
    atomic_signal_fence(memory_order_seq_cst);
    unwinder->level_count = begin_well(unwinder, count) ? count : 0;
}

/* ---- captures ---- */

/* Segments that are counted, not told where they are, one for each loop among these frames: the innermost of them where outer frames aren't
 * known, else all. Returns how many lie further out; > segments->count: the numbers aren't equal, so which is which isn't known. */
static uint32_t pair_loops(const struct native_unwinder *unwinder, int32_t count, int is_cut)
{
    uint32_t loops = count_loops(unwinder->fresh, count), all = unwinder->segments->count;
    return loops > all || (loops < all && !is_cut) ? UINT32_MAX : all - loops;
}

/* The frames [0, count) of the fresh list and the segments that lie in them. Where stacks are changed in between, a frame's end is unknown. */
static uint32_t merge_stepwise(struct native_unwinder *unwinder, int32_t count, int is_cut)
{
    const struct python_segments *segments = unwinder->segments;
    const struct native_frame *frame = &unwinder->fresh[count];
    uint64_t limit = is_cut && count ? frame[-1].spot.stack : UINT64_MAX;
    int are_counted = python_segments_are_counted(segments);
    uint32_t next = are_counted ? pair_loops(unwinder, count, is_cut) : segments_outside(segments, 0, limit);
    if (next > segments->count)
        return 0;
    uint32_t node = root_of(segments, next, is_cut);
    while (frame-- > unwinder->fresh) {
        uint32_t end = next + (are_counted && frame->detail.row.module == CFI_MODULE_LOOP);
        while (!are_counted && end < segments->count && segments->list[end].address - frame->spot.stack < limit - frame->spot.stack)
            end++;
        node = end != next ? graft(segments, next, end, node, 0) : node_of(frame->spot.address, &frame->detail.row, node, 0);
        limit = frame->spot.stack;
        next = end;
    }
    return next == segments->count ? node : 0;
}

/* The frames [0, count) of the fresh list as a stack. */
static uint32_t node_of_fresh(struct native_unwinder *unwinder, int32_t count, int is_cut)
{
    uint32_t node = merge_stepwise(unwinder, count, is_cut);
    if (likely(node) || !unwinder->segments->count)
        return node;
    /* Python frames whose place isn't known: all of them, then the native frames, marked as cut. */
    node = graft(unwinder->segments, 0, unwinder->segments->count, stack_table_cut(stack_root), 0);
    while (count-- > 0)
        node = node_of(unwinder->fresh[count].spot.address, &unwinder->fresh[count].detail.row, node, 0);
    return node;
}

/* Frame by frame, believing nothing: on other stacks than the thread's own, or across to one, or over frames that need libunwind. Nothing is
 * kept. */
COLD static uint32_t capture_stepwise(struct native_unwinder *unwinder, struct native_place place)
{
    struct native_memory memory = {0};
    uint64_t registers[NATIVE_REGISTER_COUNT];
    enum native_step result = NATIVE_STEP_TAKEN;
    uint32_t greenlet = atomic_load_explicit(&module_table_greenlet, memory_order_relaxed);
    int32_t count = 0;
    int asks_libunwind = 0;
    if (native_stack_holds(unwinder, place.stack))
        memory = (struct native_memory){.low = place.stack, .high = unwinder->stack.high};
    while (result == NATIVE_STEP_TAKEN && (count < unwinder->capacity || native_unwinder_grow(unwinder))) {
        struct native_frame *frame = &unwinder->fresh[count++];
        *frame = (struct native_frame){{place.stack, place.address}, {place.frame_pointer, *cfi_cache_find(&unwinder->rows, place.address)}};
        if (frame->detail.row.module == greenlet && begins_greenlet(unwinder, count))
            result = NATIVE_STEP_OUTERMOST;
        else if (cfi_row_kind(&frame->detail.row) != CFI_BEYOND_ROWS || !native_fallback_is_there)
            result = native_step(&memory, &frame->detail.row, &place);
        else {
            if (!asks_libunwind) {
                native_machine_registers(registers);
                native_fallback_open(registers, memory.high);
                asks_libunwind = 1;
            }
            result = native_fallback_step(&place);
        }
    }
    if (asks_libunwind)
        native_fallback_close();
    return node_of_fresh(unwinder, count, result != NATIVE_STEP_OUTERMOST);
}

/* Where there are no rows. 0: there is no libunwind. */
COLD static uint32_t capture_without_rows(struct native_unwinder *unwinder, const struct thread_state *thread, uint64_t caller)
{
    uint64_t registers[NATIVE_REGISTER_COUNT];
    struct native_place place;
    if (!native_fallback_is_there)
        return 0;
    native_machine_registers(registers);
    int is_own = native_unwinder_find_stack(unwinder, thread, registers[NATIVE_REGISTER_STACK]);
    native_fallback_open(registers, is_own ? unwinder->stack.high : 0);
    int32_t count = 0, skipped = 0;
    enum native_step result = native_fallback_first(&place) ? NATIVE_STEP_TAKEN : NATIVE_STEP_FAILED;
    while (result == NATIVE_STEP_TAKEN && (count < unwinder->capacity || native_unwinder_grow(unwinder))) {
        if (place.address == caller && count <= MAX_SKIPPED_FRAMES && !skipped)
            skipped = count;
        struct native_frame *frame = &unwinder->fresh[count++];
        *frame = (struct native_frame){{place.stack, place.address}, {place.frame_pointer, *cfi_cache_find(&unwinder->rows, place.address)}};
        result = native_fallback_step(&place);
    }
    native_fallback_close();
    memmove(unwinder->fresh, unwinder->fresh + skipped, (size_t)(count - skipped) * sizeof *unwinder->fresh);
    return node_of_fresh(unwinder, count - skipped, result != NATIVE_STEP_OUTERMOST);
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
        return capture_stepwise(unwinder, place);
    if (end == END_FULL)
        walk.fresh_count = unwinder->capacity / 4 * 3;
    make_levels(unwinder, &walk, end);
    if (unwinder->levels[unwinder->level_count - 1].segment_end != unwinder->segments->count)
        return capture_stepwise(unwinder, place);
    return find_node(unwinder, unwinder->level_count - 1);
}

/* A truncated stack that most of its frames have left says less than could be known again. */
static int is_worn_out(const struct native_unwinder *unwinder, int depth)
{
    return unwinder->is_truncated && depth < unwinder->capacity / 2;
}

/* From a place on the thread's own stack, where no shortcut leads on. 0: no node. */
OUTLINED uint32_t capture_by_walk(struct native_unwinder *unwinder, struct native_shortcut_set *shortcuts, struct native_place place)
{
    struct walk walk = {.usable = unwinder->level_count};
    enum walk_end end = walk_outward(unwinder, &walk, place);
    int depth = walk.kept + walk.fresh_count;
    if (unlikely(end == END_ELSEWHERE))
        return capture_stepwise(unwinder, place);
    if (unlikely(end == END_FULL || depth > unwinder->capacity || (end == END_KEPT && is_worn_out(unwinder, depth))))
        return capture_anew(unwinder, place);
    if (unlikely(end != END_KEPT)) {
        make_levels(unwinder, &walk, end);
    } else if (walk.fresh_count || unwinder->level_count - depth > MAX_STALE_LEVELS) {
        begin_levels(unwinder);
        push_fresh(unwinder, &walk);
    }
    if (unlikely(unwinder->levels[depth - 1].segment_end != unwinder->segments->count)) {
        /* Where segments are counted, levels of another greenlet may have stood for them. */
        int is_anew = end != END_KEPT || !python_segments_are_counted(unwinder->segments);
        return is_anew ? capture_stepwise(unwinder, place) : capture_anew(unwinder, place);
    }
    uint32_t node = depth ? node_of_level(unwinder, depth - 1) : unwinder->levels[-1].node;
    int outer = walk.fresh_count ? walk.kept - 1 : walk.kept - 2;
    if (outer >= 0)
        native_shortcut_make(unwinder, shortcuts, &place, depth - 1, outer, node);
    return node;
}

/* On the thread's own stack; 0: no node. */
HOT_INLINE uint32_t capture(struct native_unwinder *unwinder, struct native_shortcut_set *shortcuts, struct native_place place)
{
    uint32_t node = native_shortcut_take_again(unwinder, &shortcuts->ways[shortcuts->first], &place);
    if (unlikely(!node))
        node = native_shortcut_take(unwinder, shortcuts, &place);
    return node ? node : capture_by_walk(unwinder, shortcuts, place);
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
    if (capture_stepwise(unwinder, place) != node || (check % 64 == 0 && rows_differ(unwinder)))
        atomic_fetch_add(&native_unwind_differences, 1);
}

#endif

/* ---- where to begin ---- */

/* Over the frames between the hook and the caller to credit; stays where it is when that one isn't met. */
HOT_INLINE struct native_place skip_to(struct native_unwinder *unwinder, struct native_place first, uint64_t caller)
{
    struct native_place place = first;
    for (int i = 0; i < MAX_SKIPPED_FRAMES; i++) {
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
        return capture_without_rows(unwinder, thread, (uintptr_t)caller);
    if (unlikely(unwinder->pthread_id != thread->pthread_id || !native_stack_holds(unwinder, place.stack))) {
        if (!native_unwinder_find_stack(unwinder, thread, place.stack))
            return capture_stepwise(unwinder, place);
    }
    if (place.address != (uintptr_t)caller)
        place = skip_to(unwinder, place, (uintptr_t)caller);
    if (unwinder->segments->version != unwinder->segments_version)
        follow_segments(unwinder);
    uint32_t node = capture(unwinder, native_shortcuts_of(unwinder, place.stack, place.address), place);
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
    if (likely(NATIVE_MACHINE_HAS_ROWS && unwinder && unwinder->rows.epoch == atomic_load_explicit(&module_table_epoch, memory_order_acquire) &&
               unwinder->pthread_id == thread->pthread_id && native_stack_holds(unwinder, stack) &&
               segments->version == unwinder->segments_version && frame[1] == (uintptr_t)caller)) {
        struct native_place place = {.stack = stack, .frame_pointer = frame[0], .address = frame[1]};
        unwinder->segments = segments;
        uint32_t node = capture(unwinder, native_shortcuts_of(unwinder, stack, frame[1]), place);
#ifdef HEAPLINE_STACK_SELF_CHECK
        self_check(unwinder, place, node);
#endif
        return likely(node) ? node : native_stack_of_caller(thread, caller);
    }
    return unwind_slowly(thread, caller, segments);
}
