/* See native_levels.h. */
#include "native_levels.h"

#include "module_table.h"

/* ---- which stack a level is ---- */

uint32_t native_levels_set_special_hash(const struct python_segments *segments, uint64_t address, struct native_level *level)
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

uint64_t native_levels_graft_hash(const struct python_segments *segments, uint32_t first, uint32_t end, uint64_t hash)
{
    for (uint32_t i = first; i < end; i++)
        hash = native_segment_hash(hash, &segments->list[i]);
    return hash;
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
    return native_nodes_graft(unwinder->segments, level[-1].segment_end, level->segment_end, parent, level->hash);
}

uint32_t native_levels_find_node(struct native_unwinder *unwinder, int at)
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
            node = native_nodes_frame(unwinder->spots[known].address, &levels[known].detail.row, node, levels[known].hash);
        if (!node && levels[known].detail.row.module != CFI_MODULE_OWN && levels[known].hash != levels[-1].hash)
            return 0;
        levels[known].node = node;
    }
    return native_memo_keep(&unwinder->last_node, levels[at].hash, node);
}

/* ---- making them ---- */

static void set_root(struct native_unwinder *unwinder)
{
    const struct python_segments *segments = unwinder->segments;
    struct native_level *root = &unwinder->levels[-1];
    root->segment_end = native_segments_outside(segments, 0, unwinder->outer_limit);
    if (unlikely(python_segments_are_counted(segments)))
        root->segment_end = unwinder->outer_segments < segments->count ? unwinder->outer_segments : segments->count;
    root->node = native_nodes_root(segments, root->segment_end, (int)unwinder->is_cut);
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

/* From now on until they are complete, no levels are kept. */
HOT_INLINE void begin_levels(struct native_unwinder *unwinder)
{
    native_unwinder_forget_nodes(unwinder);
    atomic_signal_fence(memory_order_seq_cst);
}

void native_levels_push(struct native_unwinder *unwinder, int32_t kept, int32_t fresh_count)
{
    struct native_spot *spot = &unwinder->spots[kept - 1];
    struct native_level *level = &unwinder->levels[kept - 1];
    const struct native_frame *first = unwinder->fresh, *frame = first + fresh_count;
    const struct python_segments *segments = unwinder->segments;
    uint32_t dependence = level->dependence;
    begin_levels(unwinder);
    if (unlikely(unwinder->signal_level >= kept - 1)) /* it goes, if there is one */
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
        native_levels_set_identity(segments, spot, level);
    }
    atomic_signal_fence(memory_order_seq_cst);
    unwinder->level_count = unwinder->identified = kept + fresh_count;
    unwinder->meetable = unlikely(unwinder->signal_level != NATIVE_NO_LEVEL || unwinder->is_truncated) ? 0 : unwinder->level_count;
}

/* Of a cut stack: each loop among the frames that are known runs one segment, the innermost ones. */
static uint32_t segments_outside_of_loops(const struct native_unwinder *unwinder, int32_t fresh_count)
{
    uint32_t loops = native_segments_loops(unwinder->fresh, fresh_count), count = unwinder->segments->count;
    return loops < count ? count - loops : 0;
}

void native_levels_make(struct native_unwinder *unwinder, int32_t fresh_count, uint64_t end_cell, int is_cut, int is_truncated)
{
    begin_levels(unwinder);
    unwinder->is_truncated = is_truncated;
    unwinder->is_cut = is_cut;
    /* A frame whose caller isn't known may end anywhere. */
    unwinder->outer_limit = unwinder->is_cut && fresh_count ? unwinder->fresh[fresh_count - 1].spot.stack : UINT64_MAX;
    unwinder->outer_segments = unwinder->is_cut ? segments_outside_of_loops(unwinder, fresh_count) : 0;
    unwinder->segments_version = unwinder->segments->version;
    set_root(unwinder);
    unwinder->cells[0] = (struct native_cell){end_cell, 0};
    unwinder->levels[-1].dependence = end_cell ? 1 << 1 : 0;
    native_levels_push(unwinder, 0, fresh_count);
}

/* Where no Python segment is known to lie outside of a frame of the greenlet module, the stack begins with that frame: the innermost such one.
 * Of fresh frames the walk sees to it (begins_greenlet), and no shortcut leads over such a frame. Levels were made with other segments, perhaps
 * of another greenlet, or of the one that this one was started from: do so many of them still begin where they should? */
static int begin_well(struct native_unwinder *unwinder, int count)
{
    const struct native_level *levels = unwinder->levels;
    uint32_t greenlet = atomic_load_explicit(&module_table_greenlet, memory_order_relaxed);
    if (likely(greenlet == UINT32_MAX) || !count)
        return 1;
    uint32_t unknown = native_segments_unknown(unwinder->segments);
    native_levels_identify(unwinder, count - 1);
    if (levels[0].detail.row.module == greenlet && levels[0].segment_end > unknown)
        return 0;
    for (int at = 1; at < count && levels[at].segment_end <= unknown; at++)
        if (levels[at].detail.row.module == greenlet)
            return 0;
    return 1;
}

void native_levels_follow_segments(struct native_unwinder *unwinder)
{
    const struct python_segments *segments = unwinder->segments;
    uint32_t steady = segments->version == unwinder->segments_version + 1 ? segments->steady : 0;
    uint64_t address = steady < segments->count ? segments->list[steady].address : 0;
    int count = unwinder->level_count, meetable = unwinder->meetable, at = unwinder->identified;
    while (at >= 0 && (unwinder->levels[at - 1].segment_end > steady || address >= (at ? unwinder->spots[at - 1].stack : unwinder->outer_limit)))
        at--;
    begin_levels(unwinder);
    unwinder->segments_version = segments->version;
    if (at < 0)
        set_root(unwinder);
    atomic_signal_fence(memory_order_seq_cst);
    unwinder->identified = at < 0 ? 0 : at;
    int is_well = begin_well(unwinder, count);
    atomic_signal_fence(memory_order_seq_cst);
    if (!is_well) {
        native_unwinder_forget_nodes(unwinder);
        return;
    }
    unwinder->level_count = count;
    unwinder->meetable = meetable;
}

/* ---- changed return addresses ---- */

int native_levels_find(struct native_unwinder *unwinder, uint64_t stack)
{
    int at = unwinder->near, count = unwinder->meetable;
    if (at >= count)
        at = count - 1;
    while (unwinder->spots[at].stack < stack)
        at--;
    while (at + 1 < count && unwinder->spots[at + 1].stack >= stack)
        at++;
    unwinder->near = at;
    return unwinder->spots[at].stack == stack ? at : -1;
}
