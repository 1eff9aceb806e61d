/* See native_stepwise.h. */
#include "native_stepwise.h"

#include <stdatomic.h>
#include <string.h>

#include "module_table.h"
#include "native_fallback.h"
#include "native_machine.h"
#include "native_nodes.h"
#include "stack_table.h"

/* ---- frames and segments as one stack ---- */

/* Segments that are counted, not told where they are, one for each loop among these frames: the innermost of them where outer frames aren't
 * known, else all. Returns how many lie further out; > segments->count: the numbers aren't equal, so which is which isn't known. */
static uint32_t pair_loops(const struct native_unwinder *unwinder, int32_t count, int is_cut)
{
    uint32_t loops = native_segments_loops(unwinder->fresh, count), all = unwinder->segments->count;
    return loops > all || (loops < all && !is_cut) ? UINT32_MAX : all - loops;
}

/* The frames [0, count) of the fresh list and the segments that lie in them. Where stacks are changed in between, a frame's end is unknown. */
static uint32_t merge_stepwise(struct native_unwinder *unwinder, int32_t count, int is_cut)
{
    const struct python_segments *segments = unwinder->segments;
    const struct native_frame *frame = &unwinder->fresh[count];
    uint64_t limit = is_cut && count ? frame[-1].spot.stack : UINT64_MAX;
    int are_counted = python_segments_are_counted(segments);
    uint32_t next = are_counted ? pair_loops(unwinder, count, is_cut) : native_segments_outside(segments, 0, limit);
    if (next > segments->count)
        return 0;
    uint32_t node = native_nodes_root(segments, next, is_cut);
    while (frame-- > unwinder->fresh) {
        uint32_t end = next + (are_counted && frame->detail.row.module == CFI_MODULE_LOOP);
        while (!are_counted && end < segments->count && segments->list[end].address - frame->spot.stack < limit - frame->spot.stack)
            end++;
        node = end != next ? native_nodes_graft(segments, next, end, node, 0) : native_nodes_frame(frame->spot.address, &frame->detail.row, node, 0);
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
    node = native_nodes_graft(unwinder->segments, 0, unwinder->segments->count, stack_table_cut(stack_root), 0);
    while (count-- > 0)
        node = native_nodes_frame(unwinder->fresh[count].spot.address, &unwinder->fresh[count].detail.row, node, 0);
    return node;
}

uint32_t native_stepwise_capture(struct native_unwinder *unwinder, struct native_place place)
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
        if (frame->detail.row.module == greenlet && native_segments_begin_greenlet(unwinder, count))
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

uint32_t native_stepwise_capture_without_rows(struct native_unwinder *unwinder, const struct thread_state *thread, uint64_t caller)
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
        if (place.address == caller && count <= NATIVE_MAX_SKIPPED_FRAMES && !skipped)
            skipped = count;
        struct native_frame *frame = &unwinder->fresh[count++];
        *frame = (struct native_frame){{place.stack, place.address}, {place.frame_pointer, *cfi_cache_find(&unwinder->rows, place.address)}};
        result = native_fallback_step(&place);
    }
    native_fallback_close();
    memmove(unwinder->fresh, unwinder->fresh + skipped, (size_t)(count - skipped) * sizeof *unwinder->fresh);
    return node_of_fresh(unwinder, count - skipped, result != NATIVE_STEP_OUTERMOST);
}
